#include <gtest/gtest.h>
#include <algorithm>
#include <random>
#include <vector>

#include "heap/slab_pool.h"

namespace tide::tests {
namespace {

using heap::SlabPool;
using layout::kNoSlab;

class SlabPoolTest : public testing::Test {
 protected:
  void SetUp() override { pool.reset(); }

  std::vector<uint32_t> chain(uint32_t first) {
    std::vector<uint32_t> result;
    for (; first != kNoSlab; first = slabs[first].next) result.push_back(first);
    return result;
  }

  std::vector<layout::Slab> slabs{1000};
  SlabPool pool;
};

TEST_F(SlabPoolTest, TheYoungestComesOutFirst) {
  for (const uint32_t index : {4u, 2u, 9u}) pool.push(slabs.data(), index);
  EXPECT_EQ(pool.count(), 3u);
  EXPECT_EQ(pool.pop(slabs.data()), 9u);
  EXPECT_EQ(pool.pop(slabs.data()), 2u);
  EXPECT_EQ(pool.pop(slabs.data()), 4u);
  EXPECT_TRUE(pool.is_empty());
}

TEST_F(SlabPoolTest, TheOldestAreDetached) {
  for (uint32_t index = 0; index < 10; ++index) pool.push(slabs.data(), index);
  auto oldest = chain(pool.detach_oldest(slabs.data(), 3));
  std::sort(oldest.begin(), oldest.end());
  EXPECT_EQ(oldest, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(pool.count(), 7u);
  EXPECT_EQ(pool.pop(slabs.data()), 9u);
  EXPECT_EQ(chain(pool.detach_oldest(slabs.data(), 100)).size(), 6u);
  EXPECT_TRUE(pool.is_empty());
  pool.push(slabs.data(), 5);
  EXPECT_EQ(pool.pop(slabs.data()), 5u);
}

TEST_F(SlabPoolTest, AnyOfThemIsRemoved) {
  for (uint32_t index = 0; index < 5; ++index) pool.push(slabs.data(), index);
  for (const uint32_t index : {2u, 0u, 4u}) pool.remove(slabs.data(), index);
  EXPECT_EQ(pool.count(), 2u);
  EXPECT_EQ(chain(pool.detach_oldest(slabs.data(), 1)), std::vector<uint32_t>{1});
  pool.remove(slabs.data(), 3);
  EXPECT_TRUE(pool.is_empty());
  pool.push(slabs.data(), 7);
  EXPECT_EQ(chain(pool.detach_oldest(slabs.data(), 1)), std::vector<uint32_t>{7});
}

TEST_F(SlabPoolTest, SortsAnyChain) {
  std::mt19937 random(3);
  for (const uint32_t count : {1u, 2u, 3u, 64u, 777u}) {
    std::vector<uint32_t> numbers(slabs.size());
    for (uint32_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    std::shuffle(numbers.begin(), numbers.end(), random);
    numbers.resize(count);
    for (const uint32_t index : numbers) pool.push(slabs.data(), index);
    const auto result =
        chain(SlabPool::sorted(slabs.data(), pool.detach_oldest(slabs.data(), count)));
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(result, numbers);
  }
}

}  // namespace
}  // namespace tide::tests
