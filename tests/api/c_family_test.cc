// The malloc family's corners: sizes 0 and beyond PTRDIFF_MAX, overflow, alignments, errno.
// Runs on libtide.so or libtide.a, through the standard names.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "tide/tide.h"

extern "C" void free_sized(void*, size_t);
extern "C" void free_aligned_sized(void*, size_t, size_t);

namespace {

const size_t kTooLarge[] = {SIZE_MAX,
                            SIZE_MAX - 1,
                            SIZE_MAX - 15,
                            SIZE_MAX - 4096,
                            SIZE_MAX / 2 + 1,
                            static_cast<size_t>(PTRDIFF_MAX) + 1,
                            static_cast<size_t>(PTRDIFF_MAX),
                            size_t{1} << 62};

bool aligned(const void* p, size_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

// errno is a sign that a call did not touch it.
constexpr int kUntouched = 7777;

#define EXPECT_FAILS(expression, error)              \
  do {                                               \
    errno = kUntouched;                              \
    void* const failed_block = (expression);         \
    const int failed_errno = errno;                  \
    EXPECT_EQ(failed_block, nullptr) << #expression; \
    EXPECT_EQ(failed_errno, error) << #expression;   \
  } while (false)

TEST(CFamily, ZeroBytesGiveDistinctBlocks) {
  void* const a = malloc(0);
  void* const b = malloc(0);
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_NE(a, b);
  free(a);
  free(b);
  void* const c = calloc(0, 8);
  void* const d = calloc(8, 0);
  EXPECT_NE(c, nullptr);
  EXPECT_NE(d, nullptr);
  free(c);
  free(d);
  void* const e = memalign(8, 0);
  EXPECT_NE(e, nullptr);
  free(e);
}

TEST(CFamily, EverySizeIsAlignedTo16AndUsableToTheEnd) {
  for (size_t size = 0; size < 5000; ++size) {
    auto* const p = static_cast<unsigned char*>(malloc(size));
    ASSERT_NE(p, nullptr);
    ASSERT_TRUE(aligned(p, 16)) << size;
    const size_t usable = malloc_usable_size(p);
    ASSERT_GE(usable, size);
    memset(p, 0xa5, usable);
    ASSERT_EQ(usable, tide_good_size(size));
    free(p);
  }
}

TEST(CFamily, GoodSizeIsTheUsableSizeOfLargeBlocksToo) {
  for (const size_t size : {size_t{65537}, size_t{100000}, size_t{1} << 20, (size_t{1} << 20) + 1,
                            size_t{40} << 20, (size_t{40} << 20) + 5}) {
    void* const p = malloc(size);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(malloc_usable_size(p), tide_good_size(size)) << size;
    free(p);
  }
  EXPECT_EQ(tide_good_size(SIZE_MAX), 0u);
}

TEST(CFamily, TooLargeFailsWithEnomem) {
  for (const size_t size : kTooLarge) {
    EXPECT_FAILS(malloc(size), ENOMEM);
    EXPECT_FAILS(calloc(1, size), ENOMEM);
    EXPECT_FAILS(calloc(size, 1), ENOMEM);
    EXPECT_FAILS(realloc(nullptr, size), ENOMEM);
    EXPECT_FAILS(reallocarray(nullptr, size, 1), ENOMEM);
    EXPECT_FAILS(aligned_alloc(16, size), ENOMEM);
    EXPECT_FAILS(aligned_alloc(4096, size), ENOMEM);
    EXPECT_FAILS(memalign(64, size), ENOMEM);
    EXPECT_FAILS(valloc(size), ENOMEM);
    EXPECT_FAILS(pvalloc(size), ENOMEM);
    void* p = &p;
    EXPECT_EQ(posix_memalign(&p, 64, size), ENOMEM);
    EXPECT_EQ(p, &p);
  }
}

TEST(CFamily, ReallocOfABlockThatCantGrowKeepsIt) {
  for (const size_t size : {size_t{10}, size_t{5000}, size_t{100000}, size_t{50} << 20}) {
    auto* const p = static_cast<char*>(malloc(size));
    ASSERT_NE(p, nullptr);
    p[0] = 'x';
    p[size - 1] = 'y';
    for (const size_t large : kTooLarge) EXPECT_FAILS(realloc(p, large), ENOMEM);
    EXPECT_EQ(p[0], 'x');
    EXPECT_EQ(p[size - 1], 'y');
    free(p);
  }
}

TEST(CFamily, ProductsThatOverflowFailWithEnomem) {
  // Volatile: the compiler must not see what is coming, or it warns.
  volatile size_t half = size_t{1} << 32;
  volatile size_t all = SIZE_MAX;
  EXPECT_FAILS(calloc(half, half), ENOMEM);
  EXPECT_FAILS(calloc(all, 2), ENOMEM);
  EXPECT_FAILS(calloc(3, all / 3 + 1), ENOMEM);
  EXPECT_FAILS(reallocarray(nullptr, half, half), ENOMEM);
  auto* const p = static_cast<char*>(malloc(16));
  p[0] = 'x';
  EXPECT_FAILS(reallocarray(p, half, half), ENOMEM);
  EXPECT_EQ(p[0], 'x');
  auto* const q = static_cast<char*>(reallocarray(p, 100, 10));
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q[0], 'x');
  EXPECT_EQ(reallocarray(q, 0, 10), nullptr);
}

TEST(CFamily, CallocIsZeroAlsoAfterUse) {
  for (const size_t size : {size_t{1}, size_t{16}, size_t{100}, size_t{1000}, size_t{4096},
                            size_t{30000}, size_t{65536}, size_t{200000}, size_t{40} << 20}) {
    for (int round = 0; round < 8; ++round) {
      auto* const dirty = static_cast<unsigned char*>(malloc(size));
      ASSERT_NE(dirty, nullptr);
      memset(dirty, 0xff, malloc_usable_size(dirty));
      free(dirty);
      auto* const p = static_cast<unsigned char*>(calloc(1, size));
      ASSERT_NE(p, nullptr);
      size_t nonzero = 0;
      for (size_t i = 0; i < size; ++i) nonzero += p[i] != 0;
      EXPECT_EQ(nonzero, 0u) << size;
      free(p);
    }
  }
}

TEST(CFamily, ReallocToZeroFreesAndGivesNull) {
  errno = kUntouched;
  void* const p = malloc(100);
  EXPECT_EQ(realloc(p, 0), nullptr);
  EXPECT_EQ(errno, kUntouched);
  void* const q = realloc(nullptr, 0);
  EXPECT_NE(q, nullptr);
  free(q);
}

TEST(CFamily, TextThatGrowsByTheByteMovesSeldom) {
  constexpr size_t kBytes = size_t{64} << 10;
  char* text = nullptr;
  int moves = 0;
  for (size_t length = 1; length <= kBytes; ++length) {
    char* const grown = static_cast<char*>(realloc(text, length));
    ASSERT_NE(grown, nullptr);
    moves += grown != text;
    text = grown;
    text[length - 1] = static_cast<char>(length % 251);
  }
  EXPECT_LE(moves, 40);  // of 80 classes
  for (size_t i = 0; i < kBytes; ++i) ASSERT_EQ(text[i], static_cast<char>((i + 1) % 251)) << i;
  free(text);
}

TEST(CFamily, ReallocToTheUsableSizeDoesNotMove) {
  for (size_t size = 1; size < (size_t{48} << 20); size = size * 5 / 4 + 7) {
    void* const p = malloc(size);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(realloc(p, malloc_usable_size(p)), p) << size;
    free(p);
  }
}

TEST(CFamily, ReallocKeepsContentsAtEveryBoundary) {
  for (const size_t from : {size_t{1}, size_t{17}, size_t{128}, size_t{1024}, size_t{1025},
                            size_t{65536}, size_t{65537}, size_t{2} << 20, size_t{33} << 20}) {
    for (const size_t to : {size_t{1}, size_t{16}, size_t{129}, size_t{1024}, size_t{4000},
                            size_t{65536}, size_t{65537}, size_t{3} << 20, size_t{40} << 20}) {
      auto* p = static_cast<unsigned char*>(malloc(from));
      ASSERT_NE(p, nullptr);
      for (size_t i = 0; i < from; ++i) p[i] = static_cast<unsigned char>(i * 7 + i / 251);
      p = static_cast<unsigned char*>(realloc(p, to));
      ASSERT_NE(p, nullptr);
      ASSERT_GE(malloc_usable_size(p), to);
      size_t wrong = 0;
      for (size_t i = 0; i < from && i < to; ++i) {
        wrong += p[i] != static_cast<unsigned char>(i * 7 + i / 251);
      }
      EXPECT_EQ(wrong, 0u) << from << " to " << to;
      free(p);
    }
  }
}

TEST(CFamily, AlignedAllocWantsAPowerOfTwo) {
  for (const size_t bad :
       {size_t{0}, size_t{3}, size_t{24}, size_t{100}, SIZE_MAX, SIZE_MAX / 2 + 2}) {
    EXPECT_FAILS(aligned_alloc(bad, 64), EINVAL);
  }
  for (size_t alignment = 1; alignment <= size_t{1} << 30; alignment *= 2) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, alignment + 1}) {
      if (size > (size_t{1} << 26)) continue;
      void* const p = aligned_alloc(alignment, size);
      ASSERT_NE(p, nullptr) << alignment << ' ' << size;
      EXPECT_TRUE(aligned(p, alignment)) << alignment << ' ' << size;
      EXPECT_GE(malloc_usable_size(p), size);
      memset(p, 1, size);
      free(p);
    }
  }
  EXPECT_FAILS(aligned_alloc(SIZE_MAX / 2 + 1, 1), ENOMEM);
}

TEST(CFamily, PosixMemalignReturnsTheError) {
  for (const size_t bad : {size_t{0}, size_t{1}, size_t{2}, size_t{4}, size_t{7}, size_t{24},
                           size_t{4097}, SIZE_MAX}) {
    void* p = &p;
    errno = kUntouched;
    EXPECT_EQ(posix_memalign(&p, bad, 16), EINVAL) << bad;
    EXPECT_EQ(errno, kUntouched);
    EXPECT_EQ(p, &p);
  }
  for (size_t alignment = sizeof(void*); alignment <= size_t{1} << 30; alignment *= 2) {
    void* p = nullptr;
    ASSERT_EQ(posix_memalign(&p, alignment, 0), 0);
    EXPECT_TRUE(aligned(p, alignment));
    EXPECT_NE(p, nullptr);
    free(p);
  }
  void* p = &p;
  EXPECT_EQ(posix_memalign(&p, SIZE_MAX / 2 + 1, 1), ENOMEM);
}

TEST(CFamily, MemalignRoundsTheAlignmentUp) {
  for (const size_t alignment :
       {size_t{0}, size_t{1}, size_t{3}, size_t{8}, size_t{17}, size_t{100}, size_t{5000}}) {
    size_t power = 16;
    while (power < alignment) power *= 2;
    void* const p = memalign(alignment, 77);
    ASSERT_NE(p, nullptr) << alignment;
    EXPECT_TRUE(aligned(p, power)) << alignment;
    free(p);
  }
  EXPECT_FAILS(memalign(SIZE_MAX, 10), EINVAL);
  EXPECT_FAILS(memalign(SIZE_MAX / 2 + 2, 10), EINVAL);
  EXPECT_FAILS(memalign(SIZE_MAX / 2 + 1, 10), ENOMEM);
}

TEST(CFamily, VallocAndPvallocArePageAligned) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const size_t size : {size_t{0}, size_t{1}, page - 1, page, page + 1, 10 * page}) {
    void* const p = valloc(size);
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(aligned(p, page));
    EXPECT_GE(malloc_usable_size(p), size);
    free(p);
    void* const q = pvalloc(size);
    ASSERT_NE(q, nullptr);
    EXPECT_TRUE(aligned(q, page));
    EXPECT_GE(malloc_usable_size(q), size == 0 ? page : (size + page - 1) / page * page);
    free(q);
  }
  EXPECT_FAILS(pvalloc(SIZE_MAX - page + 2), ENOMEM);
}

TEST(CFamily, FreeKeepsErrno) {
  for (const size_t size : {size_t{16}, size_t{3000}, size_t{100000}, size_t{64} << 20}) {
    for (int i = 0; i < 20; ++i) {
      void* const p = malloc(size);
      ASSERT_NE(p, nullptr);
      errno = kUntouched;
      free(p);
      EXPECT_EQ(errno, kUntouched);
    }
  }
  errno = kUntouched;
  free(nullptr);
  free_sized(nullptr, 10);
  free_aligned_sized(nullptr, 64, 10);
  EXPECT_EQ(errno, kUntouched);
}

TEST(CFamily, SuccessKeepsErrno) {
  errno = kUntouched;
  void* p = malloc(100);
  p = realloc(p, 100000);
  p = realloc(p, size_t{50} << 20);
  free(p);
  free(calloc(10, 10));
  free(aligned_alloc(4096, 10));
  EXPECT_EQ(errno, kUntouched);
}

TEST(CFamily, SizedFrees) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{70000}, size_t{40} << 20}) {
    free_sized(malloc(size), size);
    free_sized(calloc(1, size), size);
    free_aligned_sized(aligned_alloc(256, size), 256, size);
  }
}

TEST(CFamily, BlocksMoveBetweenNamesAndThreads) {
  std::vector<void*> blocks;
  for (size_t i = 0; i < 1000; ++i) blocks.push_back(tide_malloc(i * 37));
  std::thread([&] {
    for (void* p : blocks) free(p);
  }).join();
  void* const p = malloc(100);
  EXPECT_EQ(tide_malloc_usable_size(p), malloc_usable_size(p));
  tide_free(p);
}

TEST(CFamily, MalloptTakesWhatTheCLibraryTakes) {
  for (const int parameter :
       {M_NLBLKS, M_GRAIN, M_KEEP, M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX,
        M_CHECK_ACTION, M_PERTURB, M_ARENA_TEST, M_ARENA_MAX}) {
    EXPECT_EQ(mallopt(parameter, 1), 1) << parameter;
  }
  EXPECT_EQ(mallopt(M_MXFAST, 0), 1);
  EXPECT_EQ(mallopt(M_MXFAST, 160), 1);
  EXPECT_EQ(mallopt(M_MXFAST, 161), 0);
  EXPECT_EQ(mallopt(M_MXFAST, -1), 0);
  EXPECT_EQ(mallopt(-200, 1), 0);
  EXPECT_EQ(mallopt(200, 1), 0);
}

TEST(CFamily, TrimSaysWhetherMemoryWentBack) {
  malloc_trim(0);
  std::vector<void*> blocks;
  for (int i = 0; i < 20000; ++i) {
    blocks.push_back(malloc(1000));
    memset(blocks.back(), 1, 1000);
  }
  for (void* p : blocks) free(p);
  const int first = malloc_trim(0);
  const int second = malloc_trim(0);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
}

TEST(CFamilyDeathTest, BadPointersEndWithOneLine) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  static char data[64];
  EXPECT_DEATH(
      {
        void* p = malloc(64);
        free(p);
        free(p);
      },
      "^tide: double free of 0x[0-9a-f]+ ");
  EXPECT_DEATH(free(data + 16), "^tide: free of 0x[0-9a-f]+");
  EXPECT_DEATH(free(static_cast<char*>(malloc(100)) + 16), "^tide: free of 0x[0-9a-f]+");
  EXPECT_DEATH(
      {
        void* volatile sink = realloc(data + 16, 100);
        (void)sink;
      },
      "^tide: realloc of 0x[0-9a-f]+");
  EXPECT_DEATH(
      {
        void* p = malloc(100);
        free(p);
        void* volatile sink = realloc(p, 200);
        (void)sink;
      },
      "^tide: realloc of 0x[0-9a-f]+");
}

#if TIDE_CHECK >= 1
TEST(CFamilyDeathTest, AWrongSizeEndsWithOneLine) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(free_sized(malloc(100), 1000), "^tide: sized free of 0x[0-9a-f]+ with 1000 bytes");
  EXPECT_DEATH(free_aligned_sized(malloc(100), 16, 1000), "^tide: sized free of 0x");
}
#endif

}  // namespace
