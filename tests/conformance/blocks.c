// What a block is: aligned, as large as it says, zero where promised, its contents kept by realloc,
// apart from every other block.
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"

// Sizes on both sides of every step in block size that shows from outside, up to `limit`.
static size_t find_boundaries(size_t* sizes, size_t room, size_t limit) {
  size_t count = 0;
  for (size_t size = 1; size < limit && count + 2 < room;) {
    void* p = malloc(size);
    CHECK(p != NULL, "malloc(%zu) gave NULL", size);
    const size_t usable = malloc_usable_size(p);
    CHECK(usable >= size, "malloc_usable_size says %zu of a block of %zu", usable, size);
    free(p);
    sizes[count++] = size;
    if (usable != size) sizes[count++] = usable;
    // Above this every page is a step of its own.
    size = usable < 65536 ? usable + 1 : usable + usable / 16 + 1;
  }
  return count;
}

static size_t g_sizes[4096];

static void usable_size(void) {
  for (size_t size = 0; size <= (64u << 20); size += size < 3000 ? 1 : size / 60) {
    char* block[3];
    for (size_t i = 0; i < COUNT_OF(block); ++i) {
      block[i] = malloc(size);
      CHECK(block[i] != NULL, "malloc(%zu) gave NULL", size);
    }
    size_t usable[3];
    const size_t step = size > (4u << 20) ? 4095 : 1;
    for (size_t i = 0; i < COUNT_OF(block); ++i) {
      usable[i] = malloc_usable_size(block[i]);
      CHECK(usable[i] >= size, "malloc_usable_size says %zu of a block of %zu", usable[i], size);
      const size_t lost = size > (64u << 10) && size <= (256u << 10) ? size / 4 : size / 8;
      CHECK(usable[i] <= size + lost + 8192, "a block of %zu has %zu bytes", size, usable[i]);
      if (step == 1) {
        memset(block[i], 'a' + (int)i, usable[i]);
      } else {
        for (size_t at = 0; at < usable[i]; at += step) block[i][at] = (char)('a' + i);
        block[i][usable[i] - 1] = (char)('a' + i);
      }
    }
    for (size_t i = 0; i < COUNT_OF(block); ++i) {
      for (size_t at = 0; at < usable[i]; at += step) {
        CHECK(block[i][at] == (char)('a' + i), "blocks of %zu bytes overlap", size);
      }
      CHECK(block[i][usable[i] - 1] == (char)('a' + i), "blocks of %zu bytes overlap at the end",
            size);
    }
    for (size_t i = 0; i < COUNT_OF(block); ++i) free(block[i]);
  }
}

static void aligned_to_16(void) {
  for (size_t size = 0; size <= 40000; size += size < 5000 ? 1 : 61) {
    void* m = malloc(size);
    void* c = calloc(1, size);
    void* r = realloc(malloc(3), size + 1);
    void* n = memalign(4, size);
    CHECK(m != NULL && is_aligned(m, 16), "malloc(%zu) gave %p", size, m);
    CHECK(c != NULL && is_aligned(c, 16), "calloc(1, %zu) gave %p", size, c);
    CHECK(r != NULL && is_aligned(r, 16), "realloc to %zu gave %p", size + 1, r);
    CHECK(n != NULL && is_aligned(n, 16), "memalign(4, %zu) gave %p", size, n);
    free(m);
    free(c);
    free(r);
    free(n);
  }
}

static void every_alignment(void) {
  for (size_t alignment = 8; alignment <= ((size_t)1 << 30); alignment *= 2) {
    const size_t sizes[] = {1, 24, 100, 1000, 5000, 70000, alignment - 1, alignment, alignment + 1};
    for (size_t s = 0; s < COUNT_OF(sizes); ++s) {
      char* block[4];
      const size_t count = alignment >= (64u << 20) ? 2 : COUNT_OF(block);
      for (size_t i = 0; i < count; ++i) {
        void* p = NULL;
        switch (i) {
          case 0:
            p = aligned_alloc(alignment, sizes[s]);
            break;
          case 1:
            CHECK(posix_memalign(&p, alignment, sizes[s]) == 0, "posix_memalign failed");
            break;
          default:
            p = memalign(alignment, sizes[s]);
            break;
        }
        CHECK(p != NULL, "%zu bytes aligned to %zu: NULL", sizes[s], alignment);
        CHECK(is_aligned(p, alignment), "%zu bytes aligned to %zu: %p", sizes[s], alignment, p);
        block[i] = p;
        const size_t usable = malloc_usable_size(p);
        CHECK(usable >= sizes[s], "%zu bytes aligned to %zu: only %zu usable", sizes[s], alignment,
              usable);
        block[i][0] = block[i][usable / 2] = block[i][usable - 1] = (char)('a' + i);
      }
      for (size_t i = 0; i < count; ++i) {
        const char mark = (char)('a' + i);
        const size_t usable = malloc_usable_size(block[i]);
        CHECK(block[i][0] == mark && block[i][usable / 2] == mark && block[i][usable - 1] == mark,
              "blocks of %zu bytes aligned to %zu overlap", sizes[s], alignment);
      }
      // An aligned block is a block like any other for realloc.
      block[0] = realloc(block[0], sizes[s] + 500);
      CHECK(block[0] != NULL && block[0][0] == 'a',
            "realloc of an aligned block lost its contents");
      for (size_t i = 0; i < count; ++i) free(block[i]);
    }
  }
  for (size_t i = 0; i < 200; ++i) {
    void* v = valloc(i * 100 + 1);
    void* p = pvalloc(i * 100 + 1);
    CHECK(v != NULL && is_aligned(v, 4096), "valloc gave %p", v);
    CHECK(p != NULL && is_aligned(p, 4096), "pvalloc gave %p", p);
    CHECK(malloc_usable_size(p) >= ((i * 100 + 4096) & ~(size_t)4095),
          "pvalloc does not round up to a page");
    free(v);
    free(p);
  }
}

static void calloc_zero(void) {
  const size_t count = find_boundaries(g_sizes, COUNT_OF(g_sizes), 300000);
  g_sizes[count] = 3 << 20;
  g_sizes[count + 1] = 50 << 20;
  for (size_t s = 0; s < count + 2; ++s) {
    const size_t size = g_sizes[s];
    void* block[16];
    const size_t blocks = size > 100000 ? 2 : COUNT_OF(block);
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < blocks; ++i) {
        block[i] = round % 2 == 0 ? calloc(1, size) : calloc(size, 1);
        CHECK(block[i] != NULL, "calloc of %zu bytes gave NULL", size);
        CHECK(is_zero(block[i], size), "calloc of %zu bytes is not zero (round %d)", size, round);
        memset(block[i], 0xdb, malloc_usable_size(block[i]));
      }
      for (size_t i = 0; i < blocks; ++i) free(block[i]);
      for (size_t i = 0; i < blocks; ++i) memset(block[i] = malloc(size), 0xdb, size);
      for (size_t i = 0; i < blocks; ++i) free(block[blocks - 1 - i]);
    }
  }
  // After memory went back to the system, and from the middle of larger free memory.
  for (int round = 0; round < 4; ++round) {
    void* many[400];
    for (size_t i = 0; i < COUNT_OF(many); ++i)
      memset(many[i] = malloc(20000 + i * 301), 0xdb, 20000 + i * 301);
    for (size_t i = 0; i < COUNT_OF(many); i += 2) free(many[i]);
    if (round % 2 == 1) malloc_trim(0);
    for (size_t i = 0; i < COUNT_OF(many); i += 2) {
      const size_t size = 9000 + i * 211;
      many[i] = calloc(1, size);
      CHECK(many[i] != NULL && is_zero(many[i], size), "calloc of %zu bytes is not zero", size);
    }
    for (size_t i = 0; i < COUNT_OF(many); ++i) free(many[i]);
  }
}

static void realloc_boundaries(void) {
  const size_t count = find_boundaries(g_sizes, COUNT_OF(g_sizes), 1 << 20);
  for (size_t i = 0; i < count; ++i) {
    const size_t targets[] = {g_sizes[i] + 1,
                              g_sizes[i] - 1,
                              g_sizes[i] * 2,
                              g_sizes[i] / 2 + 1,
                              i + 1 < count ? g_sizes[i + 1] : 1,
                              g_sizes[i == 0 ? 0 : i - 1]};
    for (size_t t = 0; t < COUNT_OF(targets); ++t) {
      const size_t from = g_sizes[i], to = targets[t] == 0 ? 1 : targets[t];
      char* p = malloc(from);
      fill(p, from, (uint32_t)i);
      p = realloc(p, to);
      CHECK(p != NULL, "realloc from %zu to %zu gave NULL", from, to);
      CHECK(malloc_usable_size(p) >= to, "realloc from %zu to %zu gave too little", from, to);
      CHECK(is_filled(p, from < to ? from : to, (uint32_t)i), "realloc from %zu to %zu lost bytes",
            from, to);
      free(p);
    }
  }
  // Every pair of a thinner list.
  static const size_t kFar[] = {1,
                                16,
                                17,
                                128,
                                129,
                                1000,
                                1024,
                                1025,
                                4096,
                                5000,
                                32768,
                                65536,
                                65537,
                                100000,
                                131072,
                                1 << 20,
                                (1 << 20) + 1,
                                5 << 20,
                                32 << 20,
                                (32 << 20) + 1,
                                40 << 20};
  for (size_t i = 0; i < COUNT_OF(kFar); ++i) {
    for (size_t j = 0; j < COUNT_OF(kFar); ++j) {
      const size_t from = kFar[i], to = kFar[j], kept = from < to ? from : to;
      const size_t tail = kept > 9000 ? kept - 4500 : 0;  // the first and the last 4,500 bytes
      char* p = malloc(from);
      fill(p, kept > 9000 ? 4500 : kept, 5);
      if (tail != 0) fill(p + tail, 4500, 6);
      p = realloc(p, to);
      CHECK(p != NULL, "realloc from %zu to %zu gave NULL", from, to);
      CHECK(is_filled(p, kept > 9000 ? 4500 : kept, 5), "realloc from %zu to %zu lost the start",
            from, to);
      CHECK(tail == 0 || is_filled(p + tail, 4500, 6), "realloc from %zu to %zu lost the end", from,
            to);
      p[0] = p[to - 1] = 1;
      free(p);
    }
  }
}

static void realloc_to_usable(void) {
  for (size_t size = 1; size <= (48u << 20); size += size < 3000 ? 1 : size / 50) {
    char* p = malloc(size);
    const uintptr_t before = (uintptr_t)p;
    const size_t usable = malloc_usable_size(p);
    p = realloc(p, usable);
    CHECK((uintptr_t)p == before, "realloc of %zu bytes to its usable size %zu moved it", size,
          usable);
    CHECK(malloc_usable_size(p) >= usable, "realloc to the usable size took bytes away");
    free(p);
  }
}

// Stamps a number at each page and at the end; doubling, small steps, and back.
static void stamp(char* p, size_t from, size_t to) {
  for (size_t at = from; at + sizeof(size_t) <= to; at += 4096) memcpy(p + at, &at, sizeof(at));
}
static void check_stamps(const char* p, size_t to) {
  for (size_t at = 0; at + sizeof(size_t) <= to; at += 4096) {
    size_t found;
    memcpy(&found, p + at, sizeof(found));
    CHECK(found == at, "a realloc to %zu bytes lost the page at %zu", to, at);
  }
}

static void realloc_growth(void) {
  size_t size = 4096;
  char* p = malloc(size);
  char* neighbours[64] = {NULL};
  size_t turn = 0;
  stamp(p, 0, size);
  while (size < ((size_t)700 << 20)) {
    const size_t larger = (size + size / (turn % 3 == 0 ? 2 : 7) + 4095) & ~(size_t)4095;
    p = realloc(p, larger);
    CHECK(p != NULL, "realloc to %zu bytes gave NULL", larger);
    stamp(p, size, larger);
    check_stamps(p, larger);
    size = larger;
    // Others come and go in between, so growth in place is not always to be had.
    free(neighbours[turn % COUNT_OF(neighbours)]);
    neighbours[turn % COUNT_OF(neighbours)] = malloc(100000 + turn * 5000);
    ++turn;
  }
  while (size > 100000) {
    size = size / 3 & ~(size_t)4095;
    p = realloc(p, size);
    CHECK(p != NULL, "realloc down to %zu bytes gave NULL", size);
    check_stamps(p, size);
  }
  const size_t left = resident_kib();
  CHECK(left < 200 * 1024, "a block shrunk from 700 MiB to %zu bytes still holds %zu KiB", size,
        left);
  free(p);
  for (size_t i = 0; i < COUNT_OF(neighbours); ++i) free(neighbours[i]);

  // A page at a time at 64 MiB: copying each time would move 256 GiB.
  const double start = seconds_now();
  size = 64u << 20;
  p = malloc(size);
  stamp(p, 0, size);
  for (int i = 0; i < 4096; ++i) {
    p = realloc(p, size + 4096);
    CHECK(p != NULL, "realloc by one page gave NULL at %zu bytes", size);
    stamp(p, size, size + 4096);
    size += 4096;
  }
  check_stamps(p, size);
  free(p);
  const double took = seconds_now() - start;
  CHECK(took < 20, "4,096 reallocs of one page more at 64 MiB took %.1f s", took);
}

struct Span {
  uintptr_t start, end;
};

static int compare_spans(const void* a, const void* b) {
  const struct Span *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

static void no_overlap(void) {
  enum { kBlocks = 200000 };
  static struct Span spans[kBlocks];
  uint32_t random = 12345;
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < kBlocks; ++i) {
      if (round > 0 && next_random(&random) % 2 == 0) continue;
      if (round > 0) free((void*)spans[i].start);
      const uint32_t kind = next_random(&random) % 1000;
      const size_t size = kind == 0   ? next_random(&random) % 3000000
                          : kind < 30 ? next_random(&random) % 70000
                                      : next_random(&random) % 1500;
      void* p = malloc(size);
      CHECK(p != NULL, "malloc(%zu) gave NULL", size);
      spans[i].start = (uintptr_t)p;
      spans[i].end = (uintptr_t)p + malloc_usable_size(p);
    }
    qsort(spans, kBlocks, sizeof(spans[0]), compare_spans);
    for (size_t i = 1; i < kBlocks; ++i) {
      CHECK(spans[i - 1].end <= spans[i].start, "block %p (%zu bytes) overlaps %p",
            (void*)spans[i - 1].start, (size_t)(spans[i - 1].end - spans[i - 1].start),
            (void*)spans[i].start);
    }
  }
  for (size_t i = 0; i < kBlocks; ++i) free((void*)spans[i].start);
}

static const struct Case kCases[] = {
    {"usable_size", usable_size},
    {"aligned_to_16", aligned_to_16},
    {"every_alignment", every_alignment},
    {"calloc_zero", calloc_zero},
    {"realloc_boundaries", realloc_boundaries},
    {"realloc_to_usable", realloc_to_usable},
    {"realloc_growth", realloc_growth},
    {"no_overlap", no_overlap},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
