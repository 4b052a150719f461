// What each call returns, in every corner that the C library's manual and its current behaviour
// settle: size 0, overflow, sizes near SIZE_MAX, alignments good and bad, errno.
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"

static void size_zero(void) {
  void* seen[64];
  for (size_t i = 0; i < COUNT_OF(seen); ++i) {
    seen[i] = malloc(opaque(0));
    CHECK(seen[i] != NULL, "malloc(0) gave NULL");
    CHECK(is_aligned(seen[i], 16), "malloc(0) gave %p, not 16-byte aligned", seen[i]);
    for (size_t j = 0; j < i; ++j) CHECK(seen[j] != seen[i], "malloc(0) gave one address twice");
    memset(seen[i], 1, malloc_usable_size(seen[i]));
  }
  for (size_t i = 0; i < COUNT_OF(seen); ++i) free(seen[i]);

  void* p;
  CHECK((p = calloc(opaque(0), 8)) != NULL, "calloc(0, 8) gave NULL");
  free(p);
  CHECK((p = calloc(8, opaque(0))) != NULL, "calloc(8, 0) gave NULL");
  free(p);
  CHECK((p = calloc(opaque(0), opaque(SIZE_MAX))) != NULL, "calloc(0, SIZE_MAX) gave NULL");
  free(p);
  CHECK((p = realloc(NULL, opaque(0))) != NULL, "realloc(NULL, 0) gave NULL");
  free(p);
  CHECK((p = reallocarray(NULL, opaque(0), 8)) != NULL, "reallocarray(NULL, 0, 8) gave NULL");
  free(p);
  CHECK((p = aligned_alloc(256, opaque(0))) != NULL, "aligned_alloc(256, 0) gave NULL");
  CHECK(is_aligned(p, 256), "aligned_alloc(256, 0) gave %p", p);
  free(p);
  CHECK((p = memalign(8, opaque(0))) != NULL, "memalign(8, 0) gave NULL");
  free(p);
  CHECK((p = valloc(opaque(0))) != NULL && is_aligned(p, 4096), "valloc(0) gave %p", p);
  free(p);
  CHECK((p = pvalloc(opaque(0))) != NULL && is_aligned(p, 4096), "pvalloc(0) gave %p", p);
  free(p);
  p = NULL;
  CHECK(posix_memalign(&p, 64, opaque(0)) == 0, "posix_memalign(64, 0) failed");
  free(p);

  free(NULL);
  CHECK(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL) is not 0");
}

static void expect_no_memory(void* p, const char* call, size_t size) {
  CHECK(p == NULL, "%s of %zu bytes gave %p", call, size, p);
  CHECK(errno == ENOMEM, "%s of %zu bytes: errno is %d, not ENOMEM", call, size, errno);
  errno = 0;
}

static void overflow(void) {
  static const size_t kPairs[][2] = {
      {SIZE_MAX, 2},
      {2, SIZE_MAX},
      {SIZE_MAX / 2 + 1, 2},
      {2, SIZE_MAX / 2 + 1},
      {SIZE_MAX, SIZE_MAX},
      {SIZE_MAX / 4 + 1, 4},
      {SIZE_MAX / 7, 8},
      {SIZE_MAX / 4096 + 1, 4096},
      {(size_t)1 << 32, (size_t)1 << 32},
      {((size_t)1 << 32) + 1, ((size_t)1 << 32) + 1},
  };
  char* kept = malloc(100);
  fill(kept, 100, 7);
  for (size_t i = 0; i < COUNT_OF(kPairs); ++i) {
    const size_t count = opaque(kPairs[i][0]), bytes = opaque(kPairs[i][1]);
    errno = 0;
    expect_no_memory(calloc(count, bytes), "calloc", count);
    expect_no_memory(reallocarray(NULL, count, bytes), "reallocarray of NULL", count);
    expect_no_memory(reallocarray(opaque_pointer(kept), count, bytes), "reallocarray", count);
    CHECK(is_filled(kept, 100, 7), "a failed reallocarray changed the block");
  }
  free(kept);
}

static void too_large(void) {
  size_t sizes[256];
  size_t count = 0;
  for (size_t below = 0; below < 70; ++below) sizes[count++] = SIZE_MAX - below;
  for (size_t shift = 7; shift < 48; ++shift) sizes[count++] = SIZE_MAX - ((size_t)1 << shift);
  for (size_t below = 0; below < 3; ++below) sizes[count++] = (size_t)PTRDIFF_MAX + 1 - below;
  for (size_t shift = 1; shift < 48; ++shift)
    sizes[count++] = (size_t)PTRDIFF_MAX + ((size_t)1 << shift);
  sizes[count++] = (size_t)1 << 62;
  sizes[count++] = (size_t)1 << 48;
  char* small = malloc(100);
  char* large = malloc(300000);
  fill(small, 100, 3);
  fill(large, 300000, 4);
  for (size_t i = 0; i < count; ++i) {
    const size_t size = opaque(sizes[i]);
    void* out = small;
    errno = 0;
    expect_no_memory(malloc(size), "malloc", size);
    expect_no_memory(calloc(1, size), "calloc(1, n)", size);
    expect_no_memory(calloc(size, 1), "calloc(n, 1)", size);
    expect_no_memory(realloc(NULL, size), "realloc of NULL", size);
    expect_no_memory(realloc(opaque_pointer(small), size), "realloc", size);
    expect_no_memory(realloc(opaque_pointer(large), size), "realloc of a large block", size);
    expect_no_memory(reallocarray(opaque_pointer(small), size, 1), "reallocarray", size);
    expect_no_memory(aligned_alloc(16, size), "aligned_alloc(16, n)", size);
    expect_no_memory(aligned_alloc(8192, size), "aligned_alloc(8192, n)", size);
    expect_no_memory(memalign(64, size), "memalign(64, n)", size);
    expect_no_memory(valloc(size), "valloc", size);
    expect_no_memory(pvalloc(size), "pvalloc", size);
    const int result = posix_memalign(&out, 64, size);
    CHECK(result == ENOMEM, "posix_memalign of %zu bytes gave %d, not ENOMEM", size, result);
    CHECK(out == small, "a failed posix_memalign changed its output");
  }
  CHECK(is_filled(small, 100, 3) && is_filled(large, 300000, 4),
        "a failed realloc changed a block");
  free(small);
  free(large);
}

static void bad_alignment(void) {
  static const size_t kNotForPosix[] = {0, 1,  2,  3,  4,   5,    6,    7,
                                        9, 12, 24, 48, 100, 4095, 4097, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(kNotForPosix); ++i) {
    const size_t alignment = opaque(kNotForPosix[i]);
    void* const mark = (void*)0x1234;
    void* out = mark;
    errno = E2BIG;
    const int result = posix_memalign(&out, alignment, 100);
    CHECK(result == EINVAL, "posix_memalign(%zu) gave %d, not EINVAL", alignment, result);
    CHECK(out == mark, "posix_memalign(%zu) failed and changed its output", alignment);
    CHECK(errno == E2BIG, "posix_memalign(%zu) set errno", alignment);
    // Errors of the alignment come before those of the size.
    CHECK(posix_memalign(&out, alignment, opaque(SIZE_MAX)) == EINVAL,
          "posix_memalign(%zu, SIZE_MAX)", alignment);
  }
  static const size_t kNoPower[] = {0, 3, 5, 6, 7, 9, 12, 24, 48, 100, 4095, 4097, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(kNoPower); ++i) {
    const size_t alignment = opaque(kNoPower[i]);
    errno = 0;
    void* const p = aligned_alloc(alignment, 64);
    CHECK(p == NULL, "aligned_alloc(%zu, 64) gave %p", alignment, p);
    CHECK(errno == EINVAL, "aligned_alloc(%zu, 64): errno is %d, not EINVAL", alignment, errno);
  }
  static const size_t kTop[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 2};
  for (size_t i = 0; i < COUNT_OF(kTop); ++i) {
    errno = 0;
    void* const p = memalign(opaque(kTop[i]), 64);
    CHECK(p == NULL, "memalign(%zu, 64) gave %p", kTop[i], p);
    CHECK(errno == EINVAL, "memalign(%zu, 64): errno is %d, not EINVAL", kTop[i], errno);
  }
  // memalign rounds the alignment up, as it always has.
  for (size_t alignment = 0; alignment <= 300; ++alignment) {
    size_t rounded = 1;
    while (rounded < alignment) rounded *= 2;
    void* const p = memalign(opaque(alignment), 40);
    CHECK(p != NULL && is_aligned(p, rounded), "memalign(%zu, 40) gave %p", alignment, p);
    free(p);
  }
  // A power of two that no address space holds.
  errno = 0;
  expect_no_memory(aligned_alloc(opaque((size_t)1 << 63), 64), "aligned_alloc(2^63, n)", 64);
  expect_no_memory(memalign(opaque((size_t)1 << 63), 64), "memalign(2^63, n)", 64);
  expect_no_memory(memalign(opaque((size_t)1 << 62), 64), "memalign(2^62, n)", 64);
  void* out = NULL;
  CHECK(posix_memalign(&out, opaque((size_t)1 << 62), 64) == ENOMEM,
        "posix_memalign(2^62) not ENOMEM");
  // The size need not be a multiple of the alignment.
  void* const p = aligned_alloc(64, opaque(65));
  CHECK(p != NULL && is_aligned(p, 64), "aligned_alloc(64, 65) gave %p", p);
  free(p);
}

static void realloc_to_zero(void) {
  void* p = malloc(100);
  CHECK((p = realloc(p, opaque(0))) == NULL, "realloc(p, 0) gave %p", p);
  p = malloc(100);
  CHECK((p = reallocarray(p, opaque(0), 8)) == NULL, "reallocarray(p, 0, 8) gave %p", p);
  p = malloc(100);
  CHECK((p = reallocarray(p, 8, opaque(0))) == NULL, "reallocarray(p, 8, 0) gave %p", p);
  // It frees: otherwise this would hold 4 GiB.
  static const size_t kSizes[] = {1000, 30000, 1 << 20, 64 << 20};
  for (size_t s = 0; s < COUNT_OF(kSizes); ++s) {
    const size_t before = resident_kib();
    for (size_t i = 0; i < ((size_t)1 << 30) / kSizes[s]; ++i) {
      p = malloc(kSizes[s]);
      CHECK(p != NULL, "no memory: realloc(p, 0) does not free");
      memset(p, 1, kSizes[s] > 4096 ? 4096 : kSizes[s]);
      CHECK(realloc(p, opaque(0)) == NULL, "realloc(p, 0) of %zu bytes gave a block", kSizes[s]);
    }
    const size_t after = resident_kib();
    CHECK(after < before + 100 * 1024, "realloc(p, 0) of %zu bytes leaks: %zu KiB, then %zu KiB",
          kSizes[s], before, after);
  }
}

static void errno_kept(void) {
  static const size_t kSizes[] = {0, 1, 100, 1024, 5000, 70000, 1 << 20, 40 << 20, 200 << 20};
  for (size_t s = 0; s < COUNT_OF(kSizes); ++s) {
    void* blocks[64];
    const size_t count = kSizes[s] > (1 << 20) ? 4 : COUNT_OF(blocks);
    for (size_t i = 0; i < count; ++i) {
      blocks[i] = malloc(kSizes[s]);
      if (kSizes[s] != 0) memset(blocks[i], 1, kSizes[s] < 8192 ? kSizes[s] : 8192);
    }
    for (size_t i = 0; i < count; ++i) {
      errno = E2BIG;
      free(blocks[i]);
      CHECK(errno == E2BIG, "free of %zu bytes changed errno to %d", kSizes[s], errno);
    }
  }
  errno = E2BIG;
  free(NULL);
  CHECK(errno == E2BIG, "free(NULL) changed errno");
  CHECK(malloc_usable_size(NULL) == 0 && errno == E2BIG, "malloc_usable_size(NULL) changed errno");
}

static const struct Case kCases[] = {
    {"size_zero", size_zero},
    {"overflow", overflow},
    {"too_large", too_large},
    {"bad_alignment", bad_alignment},
    {"realloc_to_zero", realloc_to_zero},
    {"errno_kept", errno_kept},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
