// The calls that tell of the heap or tune it: mallinfo2, malloc_info, malloc_stats, mallopt,
// malloc_trim; and that no symbol of the family comes from elsewhere.
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"

enum { kBlocks = 20000, kBytes = 1000, kLargeBlocks = 20, kLargeBytes = 3 << 20 };
static void* g_small[kBlocks];
static void* g_large[kLargeBlocks];

static void allocate_all(void) {
  for (size_t i = 0; i < kBlocks; ++i) memset(g_small[i] = malloc(kBytes), 1, kBytes);
  for (size_t i = 0; i < kLargeBlocks; ++i)
    memset(g_large[i] = malloc(kLargeBytes), 1, kLargeBytes);
}

static void free_all(void) {
  for (size_t i = 0; i < kBlocks; ++i) free(g_small[i]);
  for (size_t i = 0; i < kLargeBlocks; ++i) free(g_large[i]);
}

static void mallinfo_true(void) {
  const size_t asked = (size_t)kBlocks * kBytes + (size_t)kLargeBlocks * kLargeBytes;
  const struct mallinfo2 before = mallinfo2();
  allocate_all();
  const struct mallinfo2 full = mallinfo2();
  const struct mallinfo old = mallinfo();
  free_all();
  const struct mallinfo2 after = mallinfo2();

  const size_t used_before = before.uordblks + before.hblkhd;
  const size_t used_full = full.uordblks + full.hblkhd;
  const size_t used_after = after.uordblks + after.hblkhd;
  CHECK(used_full >= used_before + asked, "mallinfo2 counts %zu bytes in use for %zu",
        used_full - used_before, asked);
  CHECK(used_full <= used_before + asked + asked / 5, "mallinfo2 counts %zu bytes in use for %zu",
        used_full - used_before, asked);
  CHECK(used_after < used_before + asked / 10,
        "mallinfo2 counts %zu bytes in use after all was freed", used_after - used_before);
  CHECK(full.arena + full.hblkhd >= asked, "mallinfo2 has %zu bytes from the system for %zu in use",
        full.arena + full.hblkhd, asked);
  CHECK(full.arena >= full.uordblks, "mallinfo2: arena %zu below uordblks %zu", full.arena,
        full.uordblks);
  CHECK(full.arena == full.uordblks + full.fordblks,
        "mallinfo2: arena %zu is not uordblks %zu + fordblks %zu", full.arena, full.uordblks,
        full.fordblks);
  CHECK((unsigned)old.uordblks == (unsigned)full.uordblks,
        "mallinfo says %d where mallinfo2 says %zu", old.uordblks, full.uordblks);
}

static char g_xml[1 << 20];

static void read_info(void) {
  FILE* file = tmpfile();
  CHECK(file != NULL, "no temporary file");
  CHECK(malloc_info(0, file) == 0, "malloc_info(0) failed");
  rewind(file);
  const size_t bytes = fread(g_xml, 1, sizeof(g_xml) - 1, file);
  g_xml[bytes] = '\0';
  fclose(file);
}

// The largest size="N" of the elements that start with `element`: the total of all heaps.
static size_t largest_size(const char* element) {
  size_t largest = 0;
  for (const char* at = g_xml; (at = strstr(at, element)) != NULL; ++at) {
    const char* size = strstr(at, "size=\"");
    if (size == NULL) break;
    const size_t value = strtoul(size + 6, NULL, 10);
    if (value > largest) largest = value;
  }
  return largest;
}

static void malloc_info_true(void) {
  read_info();
  CHECK(strncmp(g_xml, "<malloc version=\"1\">", 20) == 0, "malloc_info starts with %.30s", g_xml);
  CHECK(strstr(g_xml, "</malloc>") != NULL, "malloc_info does not end with </malloc>");
  const size_t before = largest_size("<system type=\"current\"");
  CHECK(before > 0, "malloc_info has no <system type=\"current\" size=...>");
  allocate_all();
  read_info();
  const size_t asked = (size_t)kBlocks * kBytes;
  const size_t full =
      largest_size("<system type=\"current\"") + largest_size("<total type=\"mmap\"");
  CHECK(full >= before + asked, "malloc_info says %zu bytes, then %zu with %zu more in use", before,
        full, asked);
  free_all();
  errno = 0;
  FILE* file = tmpfile();
  CHECK(malloc_info(1, file) == EINVAL, "malloc_info(1) did not give EINVAL");
  fclose(file);
}

static void read_stats(void) {
  FILE* file = tmpfile();
  const int kept = dup(STDERR_FILENO);
  fflush(stderr);
  dup2(fileno(file), STDERR_FILENO);
  malloc_stats();
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  rewind(file);
  const size_t bytes = fread(g_xml, 1, sizeof(g_xml) - 1, file);
  g_xml[bytes] = '\0';
  fclose(file);
}

static void malloc_stats_prints(void) {
  read_stats();
  CHECK(strlen(g_xml) > 20, "malloc_stats wrote %zu bytes to standard error", strlen(g_xml));
  CHECK(strpbrk(g_xml, "123456789") != NULL, "malloc_stats wrote no figure");
}

// The number behind "label ... =" of what malloc_stats wrote.
static size_t labelled(const char* label) {
  const char* at = strstr(g_xml, label);
  CHECK(at != NULL, "malloc_stats does not say \"%s\"", label);
  return strtoul(at + strcspn(at, "=") + 1, NULL, 10);
}

// malloc_stats(3): the most blocks and bytes that had mappings of their own at a time.
static void malloc_stats_peak(void) {
  enum { kMappings = 5, kMappingBytes = 64 << 20 };
  static void* mappings[kMappings];
  for (int i = 0; i < kMappings; ++i) mappings[i] = malloc(kMappingBytes);
  for (int i = 0; i < kMappings; ++i) free(mappings[i]);
  read_stats();
  const size_t regions = labelled("max mmap regions");
  const size_t bytes = labelled("max mmap bytes");
  CHECK(regions >= kMappings && regions < 2 * kMappings, "at most %zu mappings at a time", regions);
  CHECK(bytes >= (size_t)kMappings * kMappingBytes && bytes < 2UL * kMappings * kMappingBytes,
        "at most %zu bytes in mappings at a time", bytes);
}

static void mallopt_known(void) {
  static const int kValues[][2] = {
      {M_MXFAST, 64},     {M_TRIM_THRESHOLD, 256 * 1024},
      {M_TOP_PAD, 4096},  {M_MMAP_THRESHOLD, 256 * 1024},
      {M_MMAP_MAX, 1000}, {M_CHECK_ACTION, 3},
      {M_PERTURB, 0},     {M_ARENA_TEST, 2},
      {M_ARENA_MAX, 4},
  };
  for (size_t i = 0; i < COUNT_OF(kValues); ++i) {
    CHECK(mallopt(kValues[i][0], kValues[i][1]) == 1, "mallopt(%d, %d) is not 1", kValues[i][0],
          kValues[i][1]);
  }
}

static void trim_gives_back(void) {
  enum { kPieces = 30000 };
  static void* pieces[kPieces];
  for (size_t i = 0; i < kPieces; ++i) {
    const size_t size = 100 + i % 8000;
    memset(pieces[i] = malloc(size), 1, size);
  }
  void* large = malloc(50 << 20);
  memset(large, 1, 50 << 20);
  const size_t full = resident_kib();
  for (size_t i = 0; i < kPieces; ++i) free(pieces[i]);
  free(large);
  CHECK(malloc_trim(0) == 1, "malloc_trim(0) is not 1 after 170 MiB were freed");
  const size_t after = resident_kib();
  CHECK(after < full / 20 + 4096, "RSS %zu KiB when full, %zu KiB after all was freed and trimmed",
        full, after);
  const int again = malloc_trim(0);
  CHECK(again == 0 || again == 1, "malloc_trim(0) gave %d", again);
}

static const char* const kFamily[] = {
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "free",
    "free_sized",
    "free_aligned_sized",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "malloc_trim",
    "mallinfo",
    "mallinfo2",
    "malloc_info",
    "malloc_stats",
    "mallopt",
};

static void one_provider(void) {
  Dl_info first;
  CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &first) != 0, "dladdr of malloc failed");
  const char* expected = getenv("CONFORMANCE_LIBRARY");
  if (expected != NULL) {
    char* real = realpath(first.dli_fname, NULL);
    CHECK(real != NULL && strcmp(real, expected) == 0, "malloc is from %s, not from %s",
          first.dli_fname, expected);
    free(real);
  }
  for (size_t i = 0; i < COUNT_OF(kFamily); ++i) {
    void* symbol = dlsym(RTLD_DEFAULT, kFamily[i]);
    CHECK(symbol != NULL, "%s is missing", kFamily[i]);
    Dl_info info;
    CHECK(dladdr(symbol, &info) != 0, "dladdr of %s failed", kFamily[i]);
    CHECK(strcmp(info.dli_fname, first.dli_fname) == 0, "malloc is from %s, %s from %s",
          first.dli_fname, kFamily[i], info.dli_fname);
  }
}

static void sized_free(void) {
  typedef void (*FreeSized)(void*, size_t);
  typedef void (*FreeAlignedSized)(void*, size_t, size_t);
  const FreeSized free_sized_call = (FreeSized)dlsym(RTLD_DEFAULT, "free_sized");
  const FreeAlignedSized free_aligned_call =
      (FreeAlignedSized)dlsym(RTLD_DEFAULT, "free_aligned_sized");
  CHECK(free_sized_call != NULL && free_aligned_call != NULL,
        "free_sized or free_aligned_sized is missing");
  free_sized_call(NULL, 0);
  free_sized_call(NULL, 100);
  free_aligned_call(NULL, 64, 100);
  const size_t before = resident_kib();
  for (size_t i = 0; i < 100000; ++i) {
    const size_t size = i % 9000;
    void* p = malloc(size);
    if (size != 0) memset(p, 1, size);
    errno = E2BIG;
    free_sized_call(p, size);
    p = calloc(size, 3);
    free_sized_call(p, size * 3);
    p = aligned_alloc(256, size);
    free_aligned_call(p, 256, size);
    CHECK(errno == E2BIG, "a sized free changed errno");
  }
  free_sized_call(malloc(100 << 20), 100 << 20);
  // Two gigabytes were freed. From level 2 of hardened mode on 16 MiB of large blocks wait with
  // their pages.
  const char* level = getenv("TIDE_HARDEN");
  const size_t waiting_mib = level != NULL && atoi(level) >= 2 ? 16 : 0;
  const size_t grown_kib = resident_kib() - before;
  CHECK((ptrdiff_t)grown_kib < (ptrdiff_t)((20 + waiting_mib) * 1024),
        "%zu KiB more than before: free_sized or free_aligned_sized does not free", grown_kib);
}

static const struct Case kCases[] = {
    {"mallinfo_true", mallinfo_true},
    {"malloc_info_true", malloc_info_true},
    {"malloc_stats_prints", malloc_stats_prints},
    {"malloc_stats_peak", malloc_stats_peak},
    {"mallopt_known", mallopt_known},
    {"trim_gives_back", trim_gives_back},
    {"one_provider", one_provider},
    {"sized_free", sized_free},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
