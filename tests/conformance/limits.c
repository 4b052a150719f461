// Little room and odd address spaces: RLIMIT_AS from the start and later, recovery after NULL,
// locked memory, pages with changed protection, low memory and the brk left alone, many mappings.
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/conformance/conformance.h"

static void limit_address_space(size_t more_bytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = address_space_bytes() + more_bytes;
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit failed");
}

// Allocates until NULL into a list through the blocks; gives the bytes that fitted.
struct Link {
  struct Link* next;
  size_t size;
};

static size_t exhaust(struct Link** list, size_t size) {
  size_t total = 0;
  for (;;) {
    errno = 0;
    struct Link* block = malloc(size);
    if (block == NULL) break;
    block->next = *list;
    block->size = size;
    if (size > sizeof(struct Link)) ((char*)block)[size - 1] = 'e';
    *list = block;
    total += size;
  }
  CHECK(errno == ENOMEM, "NULL with errno %d, not ENOMEM", errno);
  return total;
}

static void release_all(struct Link** list) {
  while (*list != NULL) {
    struct Link* block = *list;
    *list = block->next;
    CHECK(block->size <= sizeof(struct Link) || ((char*)block)[block->size - 1] == 'e',
          "a block changed while memory was short");
    free(block);
  }
}

enum { kRoom = 300 << 20 };
static const size_t kSizes[] = {16, 100, 1000, 5000, 60000, 100000, 1 << 20, 40 << 20};

static void exhaust_and_recover(void) {
  limit_address_space(kRoom);
  struct Link* list = NULL;
  for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
    const size_t first = exhaust(&list, kSizes[i]);
    CHECK(first <= (size_t)kRoom + (64u << 20), "%zu bytes of blocks fitted where %d are allowed",
          first, kRoom);
    CHECK(first >= (size_t)kRoom / 5 * 2, "only %zu bytes of %zu-byte blocks fitted into %d", first,
          kSizes[i], kRoom);
    release_all(&list);
    const size_t second = exhaust(&list, kSizes[i]);
    CHECK(second >= first / 10 * 9, "%zu bytes of %zu-byte blocks fitted, after all was freed %zu",
          first, kSizes[i], second);
    release_all(&list);
  }
}

// Of the bytes that are mapped and may be written each counts, touched or not and MAP_NORESERVE or
// not: as for a whole system in overcommit mode 2.
static void mapped_bytes_count(void) {
  struct rlimit limit;
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != NULL, "fopen failed");
  char line[128];
  size_t data_kib = 0;
  while (fgets(line, sizeof line, file) != NULL) sscanf(line, "VmData: %zu", &data_kib);
  fclose(file);
  const size_t room = 64u << 20;
  getrlimit(RLIMIT_DATA, &limit);
  limit.rlim_cur = (data_kib << 10) + room;
  CHECK(setrlimit(RLIMIT_DATA, &limit) == 0, "setrlimit failed");
  struct Link* list = NULL;
  for (size_t i = 0; i < COUNT_OF(kSizes) - 1; ++i) {
    const size_t first = exhaust(&list, kSizes[i]);
    CHECK(first >= room / 5 * 2, "only %zu bytes of %zu-byte blocks fitted into %zu", first,
          kSizes[i], room);
    release_all(&list);
    const size_t second = exhaust(&list, kSizes[i]);
    CHECK(second >= first / 10 * 9, "%zu bytes of %zu-byte blocks fitted, after all was freed %zu",
          first, kSizes[i], second);
    release_all(&list);
  }
}

static void every_call_fails_well(void) {
  limit_address_space(kRoom);
  struct Link* list = NULL;
  exhaust(&list, 8 << 20);
  exhaust(&list, 100000);
  exhaust(&list, 5000);
  exhaust(&list, 16);
  const size_t size = 20 << 20;
  char* kept = (char*)list;  // a 16-byte block: moving it needs memory
  list = list->next;
  memset(kept, 'k', 16);
  errno = 0;
  CHECK(calloc(1, size) == NULL && errno == ENOMEM, "calloc: errno %d", errno);
  errno = 0;
  CHECK(realloc(kept, size) == NULL && errno == ENOMEM, "realloc: errno %d", errno);
  for (int i = 0; i < 16; ++i) CHECK(kept[i] == 'k', "a realloc without memory changed the block");
  errno = 0;
  CHECK(aligned_alloc(4096, size) == NULL && errno == ENOMEM, "aligned_alloc: errno %d", errno);
  errno = 0;
  CHECK(memalign(1 << 20, size) == NULL && errno == ENOMEM, "memalign: errno %d", errno);
  errno = 0;
  CHECK(valloc(size) == NULL && errno == ENOMEM, "valloc: errno %d", errno);
  errno = 0;
  CHECK(pvalloc(size) == NULL && errno == ENOMEM, "pvalloc: errno %d", errno);
  void* out = kept;
  errno = E2BIG;
  CHECK(posix_memalign(&out, 64, size) == ENOMEM && out == kept,
        "posix_memalign does not fail with ENOMEM");
  // Shrinking and freeing need no memory.
  char* shrunk = realloc(kept, 1);
  CHECK(shrunk != NULL && shrunk[0] == 'k', "realloc to 1 byte failed for lack of memory");
  free(shrunk);
  release_all(&list);
  char* p = malloc(size);
  CHECK(p != NULL, "no memory although all was freed");
  p[0] = p[size - 1] = 1;
  free(p);
}

static void* exhaust_in_thread(void* argument) {
  struct Link* list = NULL;
  for (int round = 0; round < 6; ++round) {
    exhaust(&list,
            kSizes[((size_t)(uintptr_t)argument + (size_t)round) % COUNT_OF(kSizes)] & ~(size_t)1);
    release_all(&list);
  }
  return NULL;
}

static void exhaust_in_threads(void) {
  pthread_t threads[4];
  limit_address_space(kRoom);
  for (size_t i = 0; i < COUNT_OF(threads); ++i) {
    CHECK(pthread_create(&threads[i], NULL, exhaust_in_thread, (void*)i) == 0, "no thread");
  }
  for (size_t i = 0; i < COUNT_OF(threads); ++i) pthread_join(threads[i], NULL);
  void* p = malloc(100 << 20);
  CHECK(p != NULL, "no 100 MiB although all was freed");
  free(p);
  // New threads start with nothing to spare, and must take NULL as well as the old ones.
  struct Link* list = NULL;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  CHECK(pthread_create(&threads[0], &attributes, exhaust_in_thread, NULL) == 0, "no thread");
  pthread_join(threads[0], NULL);
  exhaust(&list, 4096);
  if (pthread_create(&threads[0], &attributes, exhaust_in_thread, NULL) == 0)
    pthread_join(threads[0], NULL);
  release_all(&list);
}

// The driver starts this one with little address space.
static void start_small(void) {
  for (int i = 0; i < 100; ++i) {
    char* p = malloc(1 << 20);
    CHECK(p != NULL, "no 1 MiB block");
    memset(p, i, 1 << 20);
    char* small = malloc(100 + (size_t)i);
    CHECK(small != NULL, "no 100-byte block");
    free(p);
    free(small);
  }
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != NULL, "fopen failed");
  fclose(file);
}

static void allocate_widely(void) {
  static void* blocks[3000];
  for (size_t i = 0; i < COUNT_OF(blocks); ++i) {
    const size_t size = i % 100 == 0 ? (i + 1) * 10000 : i * 13;
    blocks[i] = i % 3 == 0 ? calloc(1, size + 1) : malloc(size + 1);
    CHECK(blocks[i] != NULL, "malloc(%zu) gave NULL", size + 1);
    CHECK((uintptr_t)blocks[i] >> 32 != 0, "a block below 4 GiB: %p", blocks[i]);
  }
  for (size_t i = 0; i < COUNT_OF(blocks); ++i) free(blocks[i]);
}

static void low_memory_left_alone(void) {
  allocate_widely();
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  while (fgets(line, sizeof(line), maps) != NULL) {
    CHECK(strtoul(line, NULL, 16) >> 32 != 0, "something is mapped below 4 GiB: %s",
          strtok(line, "\n"));
  }
  fclose(maps);
  void* const wanted = (void*)(1ul << 30);
  void* low = mmap(wanted, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(low == wanted, "64 MiB at %p are refused", wanted);
  munmap(low, 64 << 20);
}

static void brk_left_alone(void) {
  CHECK(!maps_mention("[heap]"), "the brk has been moved before main");
  char* const start = sbrk(0);
  allocate_widely();
  CHECK(sbrk(0) == start, "the brk moved from %p to %p", start, sbrk(0));
  // A program may use it by itself, in parallel.
  char* mine = sbrk(1 << 20);
  CHECK(mine == start, "sbrk gave %p, not %p", mine, start);
  fill(mine, 1 << 20, 9);
  allocate_widely();
  CHECK(is_filled(mine, 1 << 20, 9), "memory of the program's own sbrk changed");
}

static void all_locked(void) {
  static void* blocks[2000];
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) SKIP("mlockall: %s", strerror(errno));
  // Pages that are locked do not go away: whoever believes that they are zero afterwards is wrong.
  for (int round = 0; round < 4; ++round) {
    for (size_t i = 0; i < COUNT_OF(blocks); ++i) {
      const size_t size = i % 50 == 0 ? 400000 : 50 + i * 11;
      blocks[i] = calloc(1, size);
      if (blocks[i] == NULL) SKIP("no locked memory to be had");
      CHECK(is_zero(blocks[i], size), "calloc of %zu bytes is not zero", size);
      memset(blocks[i], 0xdb, size);
    }
    char* huge = calloc(1, 50 << 20);
    if (huge == NULL) SKIP("no locked memory to be had");
    CHECK(is_zero(huge, 50 << 20), "calloc of 50 MiB is not zero");
    memset(huge, 0xdb, 50 << 20);
    free(huge);
    for (size_t i = 0; i < COUNT_OF(blocks); ++i) free(blocks[i]);
    malloc_trim(0);
  }
}

static void pages_protected(void) {
  char* blocks[40];
  for (int round = 0; round < 20; ++round) {
    for (size_t i = 0; i < COUNT_OF(blocks); ++i) {
      const size_t size = 4096 << (i % 6);
      blocks[i] = aligned_alloc(4096, size);
      fill(blocks[i], size, (uint32_t)i);
      CHECK(mprotect(blocks[i], size, i % 2 == 0 ? PROT_READ : PROT_NONE) == 0, "mprotect failed");
    }
    for (size_t i = 0; i < 5000; ++i) {
      void* p = malloc(i * 7);
      memset(p, 1, i * 7);
      free(p);
    }
    malloc_trim(0);
    for (size_t i = 0; i < COUNT_OF(blocks); ++i) {
      const size_t size = 4096 << (i % 6);
      CHECK(mprotect(blocks[i], size, PROT_READ | PROT_WRITE) == 0, "mprotect back failed");
      CHECK(is_filled(blocks[i], size, (uint32_t)i), "a protected block changed");
      free(blocks[i]);
    }
  }
}

static void few_mappings(void) {
  enum { kCount = 72000 };
  static char* blocks[kCount];
  const size_t before = mapping_count();
  uint32_t random = 99;
  for (size_t i = 0; i < kCount; ++i) {
    const size_t size = 69000 + next_random(&random) % 98000;
    blocks[i] = malloc(size);
    CHECK(blocks[i] != NULL, "malloc(%zu) gave NULL with %zu live blocks", size, i);
    blocks[i][0] = 1;
  }
  const size_t full = mapping_count();
  CHECK(full < before + 100, "%zu mappings for %d live blocks of 69 to 167 kB", full - before,
        kCount);
  for (size_t i = 0; i < kCount; i += 2) free(blocks[i]);
  const size_t half = mapping_count();
  CHECK(half < before + 100, "%zu mappings after every other of them was freed", half - before);
  for (size_t i = 1; i < kCount; i += 2) free(blocks[i]);
}

static const struct Case kCases[] = {
    {"exhaust_and_recover", exhaust_and_recover},
    {"mapped_bytes_count", mapped_bytes_count},
    {"every_call_fails_well", every_call_fails_well},
    {"exhaust_in_threads", exhaust_in_threads},
    {"start_small", start_small},
    {"low_memory_left_alone", low_memory_left_alone},
    {"brk_left_alone", brk_left_alone},
    {"all_locked", all_locked},
    {"pages_protected", pages_protected},
    {"few_mappings", few_mappings},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
