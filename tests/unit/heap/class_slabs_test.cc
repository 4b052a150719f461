#include "heap/class_slabs.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

using layout::kClassCount;

class ClassSlabsTest : public OsFixture, public testing::WithParamInterface<uint32_t> {
 protected:
  static constexpr size_t kWindow = size_t{64} << 20;

  void SetUp() override {
    c = GetParam();
    const uintptr_t address = place(5 * kWindow);
    zone.place(vm, limits, layout::granule_shift(c), address, address + 2 * kWindow,
               address + 3 * kWindow, kWindow);
    ASSERT_TRUE(zone.start(vm));
    slabs.reset();
    per_slab = layout::blocks_per_slab(c);
  }

  // In the order of use: from a stack the last one comes first.
  std::vector<void*> take(uint32_t count) {
    std::vector<void*> blocks(count);
    const uint32_t taken = slabs.take(vm, zone, c, 0, blocks.data(), count);
    return {blocks.rbegin(), blocks.rbegin() + taken};
  }

  uint32_t c = 0;
  uint32_t per_slab = 0;
  heap::Limits limits;
  heap::Zone<FakeVm> zone;
  heap::ClassSlabs<FakeVm> slabs;
};

INSTANTIATE_TEST_SUITE_P(Classes, ClassSlabsTest,
                         testing::Values(1u, 2u, 3u, 8u, 9u, 31u, 32u, 33u, 40u, 41u, 79u, 80u));

TEST_P(ClassSlabsTest, BlocksAreApartAlignedAndWritable) {
  const std::vector<void*> blocks = take(per_slab * 2 + 1);
  ASSERT_EQ(blocks.size(), per_slab * 2 + 1);
  std::set<uintptr_t> starts;
  const size_t bytes = layout::class_bytes(c);
  for (void* block : blocks) {
    const uintptr_t start = base::address_of(block);
    const uintptr_t slab = zone.slab_address(zone.index_of_address(block));
    ASSERT_EQ((start - slab) % bytes, 0u);
    ASSERT_LE(start + bytes, slab + zone.slab_bytes());
    ASSERT_TRUE(starts.insert(start).second);
    const auto fresh = layout::is_small_class(c) ? layout::kNotLive : layout::kFreeZero;
    ASSERT_EQ(zone.state_of_any(block), fresh) << "fresh memory is known zero";
    memset(block, 0x5a, bytes);
  }
  EXPECT_EQ(slabs.used_blocks(), blocks.size());
  EXPECT_EQ(slabs.slab_count(), 3u);
}

TEST_P(ClassSlabsTest, TakenBackTheyComeAgain) {
  std::vector<void*> blocks = take(per_slab + 3);
  std::set<void*> before(blocks.begin(), blocks.end());
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(c));
  for (void* block : blocks) slabs.give(zone, block);
  EXPECT_EQ(slabs.used_blocks(), 0u);
  EXPECT_EQ(slabs.slab_count(), 1u) << "the last empty slab stays, others go back";
  const std::vector<void*> again = take(per_slab);
  EXPECT_EQ(again.size(), per_slab);
  EXPECT_EQ(std::set<void*>(again.begin(), again.end()).size(), per_slab);
}

TEST_P(ClassSlabsTest, TheLowestBlockIsUsedFirst) {
  const std::vector<void*> fresh = take(5);
  EXPECT_TRUE(std::is_sorted(fresh.begin(), fresh.end()));
  slabs.give(zone, fresh.data() + 1, 3);
  const std::vector<void*> again = take(4);
  EXPECT_TRUE(std::equal(again.begin(), again.begin() + 3, fresh.begin() + 1));
  EXPECT_GT(again[3], fresh[4]) << "a new one after those that came back";
}

TEST_P(ClassSlabsTest, BlocksOfManySlabsComeBackAtOnce) {
  std::vector<void*> blocks = take(3 * per_slab);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(c));
  const auto kept = static_cast<uint32_t>(blocks.size() / 4);
  EXPECT_EQ(slabs.give(zone, blocks.data(), static_cast<uint32_t>(blocks.size()) - kept),
            blocks.size() - kept);
  EXPECT_EQ(slabs.used_blocks(), kept);
  const std::set<void*> held(blocks.end() - kept, blocks.end());
  for (uint32_t index = 0; index < zone.slab_count(); ++index) {
    const layout::Slab& slab = zone.slab(index);
    if (slab.size_class != c) continue;
    EXPECT_EQ(slab.first + slab.used + zone.free_of(index).count(), slab.carved);
  }
  for (void* block : take(2 * per_slab)) ASSERT_FALSE(held.contains(block));
}

TEST_P(ClassSlabsTest, BlocksOfAnotherHomeAreLeft) {
  const std::vector<void*> blocks = take(2 * per_slab);
  zone.slab(zone.index_of_address(blocks[0])).home ^= 1;
  ASSERT_NE(zone.index_of_address(blocks[0]), zone.index_of_address(blocks.back()));
  EXPECT_LT(slabs.give(zone, blocks.data(), 2 * per_slab), 2 * per_slab);
}

TEST_P(ClassSlabsTest, TheFullestSlabIsUsedFirst) {
  const std::vector<void*> blocks = take(per_slab * 2);
  // The first slab keeps all but one, the second only one.
  slabs.give(zone, blocks[0]);
  for (uint32_t i = per_slab + 1; i < 2 * per_slab; ++i) slabs.give(zone, blocks[i]);
  if (per_slab < 16) return;  // both may be in one bin
  EXPECT_EQ(take(1)[0], blocks[0]);
}

TEST_P(ClassSlabsTest, EmptySlabsGoWhenAskedTo) {
  const std::vector<void*> blocks = take(1);
  const size_t pool = zone.pool_bytes(true) + zone.pool_bytes(false);
  slabs.give(zone, blocks[0]);
  EXPECT_EQ(slabs.slab_count(), 1u);
  slabs.drop_empty(zone);
  EXPECT_EQ(slabs.slab_count(), 0u);
  EXPECT_EQ(zone.pool_bytes(true) + zone.pool_bytes(false), pool + zone.slab_bytes());
}

TEST_P(ClassSlabsTest, DropAllForgetsLiveBlocks) {
  const std::vector<void*> blocks = take(per_slab + 1);
  for (void* block : blocks) zone.state_of_any(block) = static_cast<uint8_t>(c);
  slabs.drop_all(zone);
  EXPECT_EQ(slabs.slab_count(), 0u);
  EXPECT_EQ(slabs.used_blocks(), 0u);
  for (void* block : blocks) ASSERT_EQ(zone.state_of_any(block), layout::kNotLive);
  ASSERT_EQ(take(per_slab + 1).size(), per_slab + 1);
}

TEST_P(ClassSlabsTest, FewerBlocksWithoutMemory) {
  ASSERT_EQ(take(1).size(), 1u);
  os.fail_kind(VmCall::kMapAt);
  size_t total = 1;
  while (const size_t got = take(64).size()) total += got;
  EXPECT_EQ(total % per_slab, 0u) << "every slab that was there is used up";
  EXPECT_EQ(slabs.used_blocks(), total);
  os.heal();
  EXPECT_EQ(take(64).size(), 64u);
}

TEST_P(ClassSlabsTest, AdoptedAgainItIsTheSame) {
  std::vector<void*> blocks = take(per_slab + per_slab / 2);
  std::set<void*> held(blocks.begin(), blocks.end());
  for (size_t i = 0; i < blocks.size(); i += 2) {
    slabs.give(zone, blocks[i]);
    held.erase(blocks[i]);
  }
  const uint64_t used = slabs.used_blocks();
  const uint32_t count = slabs.slab_count();
  slabs.reset();
  for (uint32_t index = 0; index < zone.slab_count(); ++index) {
    if (zone.slab(index).size_class != c) continue;
    zone.slab(index).free_summary = 0;  // what a vanished thread may leave wrong
    zone.slab(index).used = 7;
    slabs.adopt_again(zone, index);
  }
  EXPECT_EQ(slabs.used_blocks(), used);
  EXPECT_EQ(slabs.slab_count(), count);
  for (void* block : take(per_slab)) ASSERT_TRUE(held.insert(block).second);
}

using ClassSlabsDeathTest = ClassSlabsTest;
INSTANTIATE_TEST_SUITE_P(Classes, ClassSlabsDeathTest, testing::Values(1u, 80u));

TEST_P(ClassSlabsDeathTest, ABlockThatComesBackTwiceEndsTheProcess) {
  const std::vector<void*> blocks = take(2);
  slabs.give(zone, blocks[0]);
  EXPECT_DEATH(slabs.give(zone, blocks[0]), "I-SLAB-1");
}

}  // namespace
}  // namespace tide::tests
