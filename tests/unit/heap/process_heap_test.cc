// The process's heap: homes keep to slabs of their own, and nothing is stranded in them.
#include "heap/process_heap.h"

#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <vector>

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

using layout::kMaxBatch;
using layout::kSmallClasses;

class ProcessHeapTest : public OsFixture, public testing::WithParamInterface<uint32_t> {
 protected:
  void SetUp() override {
    c = GetParam();
    ASSERT_TRUE(space->start());
    heap->start(layout::kHomes, 1);
    per_slab = layout::blocks_per_slab(c);
  }

  heap::Zone<FakeVm>& zone() { return space->zone_of_class(c); }
  uint32_t slab_of(const void* block) { return zone().index_of_address(block); }
  uint8_t home_of(const void* block) { return zone().slab(slab_of(block)).home; }

  std::vector<void*> from_slabs(uint8_t home, uint32_t count) {
    std::vector<void*> blocks(count);
    blocks.resize(heap->take_from_slabs(*space, home, c, blocks.data(), count));
    return blocks;
  }
  // Back to the slabs, past the depots.
  void give_all(const std::vector<void*>& blocks) {
    heap->give_to_slabs(*space, c, blocks.data(), static_cast<uint32_t>(blocks.size()));
  }

  uint32_t c = 0;
  uint32_t per_slab = 0;
  std::unique_ptr<heap::Space<FakeVm>> space = std::make_unique<heap::Space<FakeVm>>();
  std::unique_ptr<heap::ProcessHeap<FakeVm>> heap = std::make_unique<heap::ProcessHeap<FakeVm>>();
};

INSTANTIATE_TEST_SUITE_P(Classes, ProcessHeapTest, testing::Values(1u, 8u, 20u, kSmallClasses));

TEST_P(ProcessHeapTest, HomesTakeFromDifferentSlabs) {
  const std::vector<void*> a = from_slabs(1, 5);
  const std::vector<void*> b = from_slabs(2, 5);
  ASSERT_EQ(a.size(), 5u);
  ASSERT_EQ(b.size(), 5u);
  EXPECT_NE(slab_of(a[0]), slab_of(b[0]));
  EXPECT_EQ(slab_of(from_slabs(1, 1)[0]), slab_of(a[0])) << "also when both have room";
  EXPECT_EQ(home_of(a[0]), 1);
  EXPECT_EQ(home_of(b[0]), 2);
}

TEST_P(ProcessHeapTest, WhatComesBackGoesToTheHomeOfItsSlab) {
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < 8; ++i) {
    blocks.push_back(from_slabs(3, 1)[0]);
    blocks.push_back(from_slabs(4, 1)[0]);
  }
  heap->give(*space, c, blocks.data(), static_cast<uint32_t>(blocks.size()));
  for (const uint8_t home : {uint8_t{3}, uint8_t{4}}) {
    EXPECT_EQ(heap->depot(c, home).count(), 8u);
    void* out[kMaxBatch];
    ASSERT_EQ(heap->take(*space, home, c, out, 3), 3u) << "as many as were asked for";
    EXPECT_EQ(heap->depot(c, home).count(), 5u);
    ASSERT_EQ(heap->take(*space, home, c, out + 3, kMaxBatch - 3), 5u) << "a batch at most";
    for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(home_of(out[i]), home);
  }
}

TEST_P(ProcessHeapTest, ASparseSlabOfOthersServesBeforeTheZoneGrows) {
  const std::vector<void*> all = from_slabs(1, per_slab);
  const auto kept = all.begin() + per_slab / 4;
  give_all({kept, all.end()});
  const std::vector<void*> taken = from_slabs(2, 1);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(slab_of(taken[0]), slab_of(all[0]));
  EXPECT_EQ(home_of(all[0]), 2);
  EXPECT_EQ(heap->slabs(c, 1).slab_count(), 0u);
  EXPECT_EQ(heap->slabs(c, 1).used_blocks(), 0u);
  EXPECT_EQ(heap->slabs(c, 2).slab_count(), 1u);
  EXPECT_EQ(heap->slabs(c, 2).used_blocks(), per_slab / 4 + 1);
  give_all({all.begin(), kept});
  EXPECT_EQ(heap->slabs(c, 2).used_blocks(), 1u) << "blocks from its time with another home";
}

TEST_P(ProcessHeapTest, ASlabThatIsBeingFilledStays) {
  const std::vector<void*> a = from_slabs(1, 1);
  EXPECT_NE(slab_of(from_slabs(2, 1)[0]), slab_of(a[0]));
}

TEST_P(ProcessHeapTest, WithoutMemoryAnyRoomWillDo) {
  const std::vector<void*> a = from_slabs(1, 1);
  while (zone().acquire(space->vm) != layout::kNoSlab) {
    os.fail_kind(VmCall::kMapAt);
  }
  EXPECT_EQ(slab_of(from_slabs(2, 1)[0]), slab_of(a[0]));
  std::set<void*> taken;
  while (true) {
    const std::vector<void*> more = from_slabs(2, 16);
    if (more.empty()) break;
    for (void* block : more) ASSERT_TRUE(taken.insert(block).second);
  }
  EXPECT_EQ(taken.size(), per_slab - 2) << "every block but the two taken before";
}

TEST_P(ProcessHeapTest, CollectBringsAllDepotsBack) {
  for (uint8_t home = 0; home < layout::kHomes; ++home) {
    std::vector<void*> blocks = from_slabs(home, 4);
    heap->give(*space, c, blocks.data(), 4);
  }
  heap->collect(*space);
  heap->drop_empty(*space, c);
  for (uint32_t home = 0; home < layout::kHomes; ++home) {
    EXPECT_EQ(heap->depot(c, home).count(), 0u) << home;
    EXPECT_EQ(heap->slabs(c, home).slab_count(), 0u) << home;
  }
}

// Of mid classes there is a depot for each CPU; where this test runs does not matter to it.
class MidDepotsTest : public ProcessHeapTest {
 protected:
  static constexpr uint32_t kDepots = heap::Config::kMostMidDepots;

  void SetUp() override {
    ProcessHeapTest::SetUp();
    heap->start(layout::kHomes, kDepots);
  }
  uint32_t in_depots() {
    uint32_t count = 0;
    for (uint32_t i = 0; i < kDepots; ++i) count += heap->depot(c, i).count();
    return count;
  }
  // A block in each of them.
  std::set<void*> fill() {
    std::set<void*> blocks;
    for (uint32_t i = 0; i < kDepots; ++i) {
      const std::vector<void*> block = from_slabs(0, 1);
      EXPECT_TRUE(heap->depot(c, i).put(block.data(), 1, {}));
      blocks.insert(block[0]);
    }
    return blocks;
  }
};

INSTANTIATE_TEST_SUITE_P(Classes, MidDepotsTest,
                         testing::Values(kSmallClasses + 1, kSmallClasses + 20,
                                         layout::kLastClass));

TEST_P(MidDepotsTest, WhatComesBackLiesInADepot) {
  std::vector<void*> blocks = from_slabs(0, 2);
  ASSERT_EQ(blocks.size(), 2u);
  heap->give(*space, c, blocks.data(), 2);
  EXPECT_EQ(in_depots(), 2u);
  EXPECT_EQ(heap->depot_bytes(), 2 * size_t{layout::kClassInfo[c].bytes});
  EXPECT_EQ(heap->slabs(c, 0).used_blocks(), 2u);
}

TEST_P(MidDepotsTest, WhoseDepotIsEmptyTakesFromTheOthersBeforeTheSlabs) {
  std::set<void*> left = fill();
  while (!left.empty()) {
    void* block = nullptr;
    ASSERT_EQ(heap->take(*space, 0, c, &block, 1), 1u);
    ASSERT_EQ(left.erase(block), 1u);
  }
  EXPECT_EQ(heap->slabs(c, 0).used_blocks(), kDepots);
}

TEST_P(MidDepotsTest, AllOfThemAreEmptied) {
  fill();
  heap->collect(*space);
  EXPECT_EQ(in_depots(), 0u);
  EXPECT_EQ(heap->slabs(c, 0).used_blocks(), 0u);
  fill();
  heap->collect(*space, c, 3);
  EXPECT_EQ(in_depots(), 0u);
  EXPECT_EQ(heap->slabs(c, 0).used_blocks(), 0u);
}

TEST_P(ProcessHeapTest, ClassesOfTheMidZoneHaveOneHome) {
  EXPECT_EQ(heap->homes_of(c), layout::kHomes);
  EXPECT_EQ(heap->homes_of(kSmallClasses + 1), 1u);
  EXPECT_EQ(&heap->slabs(kSmallClasses + 1, 0), &heap->slabs(kSmallClasses + 1, 5));
  EXPECT_EQ(&heap->slabs(layout::kLastClass, 0), &heap->slabs(layout::kLastClass, 15));
}

}  // namespace
}  // namespace tide::tests
