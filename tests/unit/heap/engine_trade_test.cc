// Growth pays with what lies idle; what does not grow pays nothing.
#include <gtest/gtest.h>
#include <cstring>
#include <vector>

#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

TEST(EngineTrade, AnotherZonesGrowthGetsEmptySlabsOrGivesThemBack) {
  StartedBox box;
  release_all(box.client, fill(box.client, 200, 40 * kMiB));
  EXPECT_EQ(stats_of(*box.engine).purged_bytes, 0u);
  const auto blocks = fill(box.client, 4000, 30 * kMiB);
  const size_t moved = box.os.calls(VmCall::kMovePages) * heap::kMoveBytes;
  const heap::Stats stats = stats_of(*box.engine);
  EXPECT_GE(stats.purged_bytes + moved, 25 * kMiB);
  EXPECT_LE(stats.purged_bytes + moved, 40 * kMiB);
  release_all(box.client, blocks);
  box.engine->verify();
}

TEST(EngineTrade, GrowthGivesKeptMappingsBack) {
  StartedBox box;
  release_all(box.client, fill(box.client, 40 * kMiB, 80 * kMiB));
  EXPECT_EQ(stats_of(*box.engine).purged_bytes, 0u);
  const auto blocks = fill(box.client, 4000, 60 * kMiB);
  const heap::Stats stats = stats_of(*box.engine);
  EXPECT_GE(stats.purged_bytes, 50 * kMiB);
  EXPECT_LE(stats.purged_bytes, 75 * kMiB) << "a little stays for the next";
  release_all(box.client, blocks);
  box.engine->verify();
}

TEST(EngineTrade, PagesInTheMiddleOfSparseSlabsGo) {
  StartedBox box;
  const auto blocks = fill(box.client, 200, 40 * kMiB);
  std::vector<void*> kept;
  std::vector<void*> others;
  for (size_t i = 0; i < blocks.size(); ++i) (i % 320 == 0 ? kept : others).push_back(blocks[i]);
  release_all(box.client, others);
  release_all(box.client, fill(box.client, 4000, 30 * kMiB));
  EXPECT_GE(stats_of(*box.engine).purged_bytes, 20 * kMiB);
  for (void* block : kept) {
    for (size_t i = 0; i < 200; ++i) ASSERT_EQ(static_cast<char*>(block)[i], 0x5a);
  }
  box.engine->verify();
  // What was given back and is used again counts as growth: the other side pays in its turn.
  const uint64_t before = stats_of(*box.engine).purged_bytes;
  const auto again = fill(box.client, 200, 30 * kMiB);
  EXPECT_GE(stats_of(*box.engine).purged_bytes - before, 15 * kMiB);
  release_all(box.client, again);
  release_all(box.client, kept);
  box.engine->verify();
}

// A few blocks of a size that is not used any more, in a cache and in depots, hold no slabs.
TEST(EngineTrade, WhatCachesHoldOfSizesLeftBehindGoes) {
  StartedBox box;
  auto blocks = fill(box.client, 200, 20 * kMiB);
  // One of each slab comes last, so that the cache and the depots have them.
  const size_t slabs = blocks.size() / 320;
  for (size_t i = 0; i < slabs; ++i) {
    std::swap(blocks[blocks.size() - 1 - i], blocks[i * 320]);
  }
  release_all(box.client, blocks);
  const auto slabs_of_200 = [&] {
    return stats_of(*box.engine).classes[layout::class_of(200)].slabs;
  };
  EXPECT_GE(slabs_of_200(), 100u);
  const auto others = fill(box.client, 4000, 4 * kMiB);
  EXPECT_LE(slabs_of_200(), 1u);
  release_all(box.client, others);
  box.engine->verify();
}

TEST(EngineTrade, AHeapThatDoesNotGrowGivesNothingBack) {
  StartedBox box;
  uint64_t settled = 0;
  for (int round = 0; round < 10; ++round) {
    const auto small = fill(box.client, 200, 10 * kMiB);
    const auto mid = fill(box.client, 4000, 10 * kMiB);
    const auto large = fill(box.client, 200'000, 10 * kMiB);
    release_all(box.client, small);
    release_all(box.client, mid);
    release_all(box.client, large);
    // Spans come in another order when they have been in use; then everything has its place.
    if (round == 1) settled = box.os.calls(VmCall::kPurge);
  }
  EXPECT_LE(settled, 8u);
  EXPECT_EQ(box.os.calls(VmCall::kPurge), settled);
}

// What goes back and is taken again over and over makes the heap no larger than it was.
TEST(EngineTrade, WhatIsTakenAgainIsNotGrowth) {
  StartedBox box;
  release_all(box.client, fill(box.client, 5'000'000, 100 * kMiB));
  box.client.purge();
  const auto idle = fill(box.client, 4000, 30 * kMiB);
  release_all(box.client, idle);
  const uint64_t before = stats_of(*box.engine).purged_bytes;
  const auto blocks = fill(box.client, 5'000'000, 60 * kMiB);
  EXPECT_EQ(stats_of(*box.engine).purged_bytes, before);
  release_all(box.client, blocks);
  box.engine->verify();
}

TEST(EngineTrade, ARefusedPurgeIsNoHarm) {
  StartedBox box;
  box.os.fail_kind(VmCall::kPurge);
  release_all(box.client, fill(box.client, 200, 20 * kMiB));
  release_all(box.client, fill(box.client, 4000, 20 * kMiB));
  EXPECT_GT(box.os.calls(VmCall::kPurge), 0u);
  EXPECT_EQ(stats_of(*box.engine).purged_bytes, 0u);
  box.engine->verify();
}

TEST(EngineTrade, ClassesThatFillSlabAfterSlabGetThemPopulated) {
  StartedBox box;
  fill(box.client, 200, 300'000);
  EXPECT_EQ(box.os.populated_bytes(), 0u) << "a small heap is not made larger";
  fill(box.client, 200, 10 * kMiB);
  EXPECT_GE(box.os.populated_bytes(), 8 * kMiB);
  EXPECT_LE(box.os.populated_bytes(), 12 * kMiB) << "an eighth more than is used";
  const size_t before = box.os.populated_bytes();
  fill(box.client, 4000, 10 * kMiB);
  EXPECT_EQ(box.os.populated_bytes(), before) << "larger blocks may never be touched as a whole";
}

}  // namespace
}  // namespace tide::tests
