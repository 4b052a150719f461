// Limits of the process through tide.h, on every call of the family.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <string>
#include <thread>
#include <vector>

#include "tide/tide.h"

namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t footprint() {
  tide_stats stats{};
  EXPECT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  return stats.footprint_bytes;
}

std::string option(const char* name) {
  char buffer[64];
  return tide_option_get(name, buffer, sizeof buffer) == 0 ? buffer : "?";
}

class LimitsTest : public testing::Test {
 protected:
  void SetUp() override { tide_purge(0); }
  void TearDown() override { ASSERT_EQ(tide_set_limits(0, 0), 0); }
};

TEST_F(LimitsTest, SetAndGet) {
  size_t soft = 1;
  size_t hard = 1;
  tide_get_limits(&soft, &hard);
  EXPECT_EQ(soft, 0u);
  EXPECT_EQ(hard, 0u);
  ASSERT_EQ(tide_set_limits(300 * kMiB, 400 * kMiB), 0);
  tide_get_limits(&soft, nullptr);
  tide_get_limits(nullptr, &hard);
  EXPECT_EQ(soft, 300 * kMiB);
  EXPECT_EQ(hard, 400 * kMiB);
  EXPECT_EQ(option("limit_soft"), "300MiB");
  EXPECT_EQ(option("limit_hard"), "400MiB");
  tide_stats stats{};
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_EQ(stats.limit_soft_bytes, 300 * kMiB);
  EXPECT_EQ(stats.limit_hard_bytes, 400 * kMiB);
  ASSERT_EQ(tide_set_limits(12'345'678, 0), 0);
  EXPECT_EQ(option("limit_soft"), "12345678");
}

TEST_F(LimitsTest, FaultsChangeNothing) {
  ASSERT_EQ(tide_set_limits(300 * kMiB, 400 * kMiB), 0);
  errno = 7777;
  EXPECT_EQ(tide_set_limits(401 * kMiB, 400 * kMiB), EINVAL);
  EXPECT_EQ(tide_set_limits(0, SIZE_MAX - 1), EINVAL);
  EXPECT_EQ(tide_set_limits(SIZE_MAX / 2, 0), EINVAL);
  EXPECT_EQ(errno, 7777);
  EXPECT_EQ(option("limit_soft"), "300MiB");
  EXPECT_EQ(option("limit_hard"), "400MiB");
}

TEST_F(LimitsTest, ByOption) {
  ASSERT_EQ(tide_option_set("limit_hard", "500m"), 0);
  size_t hard = 0;
  tide_get_limits(nullptr, &hard);
  EXPECT_EQ(hard, 500 * kMiB);
  for (const char* value : {"aut", "-1", "2000t", "18446744073709551615", ""}) {
    EXPECT_EQ(tide_option_set("limit_hard", value), EINVAL) << value;
  }
  EXPECT_EQ(option("limit_hard"), "500MiB");
}

TEST_F(LimitsTest, AutoIsAWordAndANumber) {
  ASSERT_EQ(tide_set_limits(TIDE_LIMIT_AUTO, TIDE_LIMIT_AUTO), 0);
  EXPECT_EQ(option("limit_soft"), "auto");
  EXPECT_EQ(option("limit_hard"), "auto");
  size_t soft = 1;
  size_t hard = 1;
  tide_get_limits(&soft, &hard);
  EXPECT_NE(hard, SIZE_MAX) << "what it stands for, not the word";
  EXPECT_TRUE(hard == 0 || soft <= hard);
  void* const block = malloc(100);
  EXPECT_NE(block, nullptr);
  free(block);
}

TEST_F(LimitsTest, EveryCallFailsWithENOMEMAndRecovers) {
  ASSERT_EQ(tide_set_limits(0, footprint() + 8 * kMiB), 0);
  const size_t much = 20 * kMiB;
  const auto refused = [](void* block) {
    const bool result = block == nullptr && errno == ENOMEM;
    errno = 0;
    return result;
  };
  errno = 0;
  EXPECT_TRUE(refused(malloc(much)));
  EXPECT_TRUE(refused(calloc(much, 1)));
  EXPECT_TRUE(refused(aligned_alloc(64, much)));
  EXPECT_TRUE(refused(memalign(64, much)));
  EXPECT_TRUE(refused(valloc(much)));
  EXPECT_TRUE(refused(pvalloc(much)));
  EXPECT_TRUE(refused(malloc(100 * kMiB)));
  EXPECT_TRUE(refused(operator new(much, std::nothrow)));
  EXPECT_THROW(operator delete(operator new(much)), std::bad_alloc);
  void* result = nullptr;
  EXPECT_EQ(posix_memalign(&result, 64, much), ENOMEM);
  char* const block = static_cast<char*>(malloc(1000));
  ASSERT_NE(block, nullptr);
  memset(block, 7, 1000);
  EXPECT_TRUE(refused(realloc(block, much)));
  EXPECT_TRUE(refused(reallocarray(block, much, 1)));
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(block[i], 7);
  free(block);
  tide_heap_t* const heap = tide_heap_create(0);
  ASSERT_NE(heap, nullptr);
  EXPECT_TRUE(refused(tide_heap_malloc(heap, much)));
  tide_heap_destroy(heap);
  // What fits works all the while.
  void* const some = malloc(4 * kMiB);
  EXPECT_NE(some, nullptr);
  free(some);
}

TEST_F(LimitsTest, ThreadsAtTheLimit) {
  const size_t hard = footprint() + 24 * kMiB;
  ASSERT_EQ(tide_set_limits(0, hard), 0);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      unsigned seed = t;
      void* blocks[256] = {};
      for (int step = 0; step < 20'000; ++step) {
        void*& slot = blocks[rand_r(&seed) % 256];
        free(slot);
        const size_t bytes = size_t{1} << (rand_r(&seed) % 19);
        slot = malloc(bytes);
        if (slot != nullptr) memset(slot, 1, bytes);
      }
      for (void* block : blocks) free(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  void* const block = malloc(16 * kMiB);
  EXPECT_NE(block, nullptr) << "what threads left behind does not stay";
  free(block);
}

TEST_F(LimitsTest, PurgeToATarget) {
  const size_t before = footprint();
  free(malloc(20 * kMiB));
  std::vector<void*> blocks;
  for (int i = 0; i < 200; ++i) {
    blocks.push_back(malloc(100'000));
    memset(blocks.back(), 1, 100'000);
  }
  for (void* block : blocks) free(block);
  ASSERT_GT(footprint(), before + 10 * kMiB);
  EXPECT_EQ(tide_purge(SIZE_MAX), 0u);
  EXPECT_GE(tide_purge(before + kMiB), 10 * kMiB);
  EXPECT_LE(footprint(), before + kMiB);
}

TEST_F(LimitsTest, ALimitSetBelowWhatIsFreePurges) {
  const size_t before = footprint();
  char* const block = static_cast<char*>(malloc(20 * kMiB));
  memset(block, 1, 20 * kMiB);
  free(block);
  ASSERT_GT(footprint(), before + 10 * kMiB);
  ASSERT_EQ(tide_set_limits(before + kMiB, 0), 0);
  EXPECT_LE(footprint(), before + kMiB);
}

}  // namespace
