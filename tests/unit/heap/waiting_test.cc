// The lists of hardened mode: nothing is lost or doubled in them, and who waits waits long enough.
#include "heap/waiting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "layout/thread_cache.h"

namespace tide::tests {

namespace {

using layout::WaitingBlocks;

std::unique_ptr<layout::ThreadCache> seeded_cache() {
  auto cache = std::make_unique<layout::ThreadCache>();
  cache->random = 20261121;
  return cache;
}

uintptr_t block(uintptr_t number) { return (number + 1) * 64; }

// A stack of class 10 with room for `room` blocks, of which the first `count` are there.
constexpr uint32_t kStack = 10;
uintptr_t* fill_stack(layout::ThreadCache& cache, uint32_t count, uint32_t room) {
  uintptr_t* const bottom = layout::short_bottom(cache, kStack);
  cache.limit[kStack] = bottom + room;
  for (uint32_t i = 0; i < count; ++i) bottom[1 + i] = block(i);
  cache.top[kStack] = bottom + count;
  return bottom;
}

TEST(Waiting, EveryBlockWaitsForAQueueAndLeavesOnce) {
  const auto cache = seeded_cache();
  constexpr uintptr_t kBlocks = 5000;
  std::vector<uintptr_t> entered(kBlocks);
  std::vector<uintptr_t> left;
  for (uintptr_t i = 0; i < kBlocks; ++i) {
    entered[i] = i;
    const uintptr_t leaving = heap::enter_waiting(*cache, reinterpret_cast<void*>(block(i)));
    if (leaving == 0) continue;
    const uintptr_t number = leaving / 64 - 1;
    EXPECT_GE(i - number, WaitingBlocks::kQueue) << "block " << number;
    left.push_back(number);
  }
  EXPECT_FALSE(std::is_sorted(left.begin(), left.end()));
  std::vector<uintptr_t> seen;
  heap::for_each_waiting(cache->waiting, [&](uintptr_t b) { seen.push_back(b / 64 - 1); });
  EXPECT_EQ(seen.size() + left.size(), kBlocks);
  heap::queue_places(cache->waiting);
  while (const uintptr_t b = heap::take_waiting(cache->waiting)) {
    left.push_back(b / 64 - 1);
    heap::queue_places(cache->waiting);
  }
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, entered);
}

TEST(Shuffle, KeepsEveryBlockAndNotTheirOrder) {
  const auto cache = seeded_cache();
  constexpr uint32_t kBlocks = 30;
  uintptr_t* const bottom = fill_stack(*cache, kBlocks, kBlocks);
  heap::shuffle(*cache, kStack);
  EXPECT_EQ(cache->top[kStack], bottom + kBlocks);
  std::vector<uintptr_t> blocks(bottom + 1, bottom + 1 + kBlocks);
  EXPECT_FALSE(std::is_sorted(blocks.begin(), blocks.end()));
  std::sort(blocks.begin(), blocks.end());
  for (uint32_t i = 0; i < kBlocks; ++i) EXPECT_EQ(blocks[i], block(i));
}

TEST(Shuffle, APushedBlockComesOutFirstAboutHalfOfTheTime) {
  const auto cache = seeded_cache();
  fill_stack(*cache, 2, 8);
  int first = 0;
  constexpr int kTurns = 1000;
  for (int i = 0; i < kTurns; ++i) {
    uintptr_t* const top = cache->top[kStack];
    const uintptr_t before = *top;
    heap::push_unforeseen(*cache, kStack, top, reinterpret_cast<void*>(block(100)));
    ASSERT_EQ(cache->top[kStack], top + 1);
    ASSERT_EQ(top[0] + top[1], before + block(100)) << "one of them is gone";
    first += top[1] == block(100);
    top[0] = before;
    cache->top[kStack] = top;
  }
  EXPECT_GT(first, kTurns * 2 / 5);
  EXPECT_LT(first, kTurns * 3 / 5);
}

TEST(Shuffle, TheOnlyBlockStaysAboveTheNullSlot) {
  const auto cache = seeded_cache();
  for (int i = 0; i < 20; ++i) {
    uintptr_t* const bottom = fill_stack(*cache, 0, 8);
    heap::push_unforeseen(*cache, kStack, cache->top[kStack], reinterpret_cast<void*>(block(1)));
    EXPECT_EQ(bottom[0], 0u);
    EXPECT_EQ(bottom[1], block(1));
  }
}

}  // namespace

}  // namespace tide::tests
