#include "heap/huge_blocks.h"

#include <unistd.h>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/heap/os_fixture.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

class HugeBlocksTest : public OsFixture {
 protected:
  HugeBlocksTest() = default;
  explicit HugeBlocksTest(const FakeOs::Options& options) : OsFixture(options) {}
  void SetUp() override { huge.start(limits); }

  void* allocate(size_t bytes, size_t alignment = 0) {
    return huge.allocate(vm, metadata, config, bytes, alignment, 0, zeroed);
  }
  bool release(const void* p) { return huge.release(vm, config, p); }
  bool is_known(const void* p) {
    heap::HugeBlocks<FakeVm>::Entry entry;
    return huge.lookup(p, false, entry);
  }

  heap::Config config{};  // keeps nothing
  heap::Limits limits;
  heap::Metadata<FakeVm> metadata;
  heap::HugeBlocks<FakeVm> huge;
  heap::PurgeFigures figures;
  heap::Purger<FakeVm> purger{vm, figures, false};
  bool zeroed = false;
};

TEST_F(HugeBlocksTest, KnownByItsStartOnly) {
  auto* block = static_cast<char*>(allocate(2 * kMiB + 1));
  ASSERT_NE(block, nullptr);
  EXPECT_TRUE(zeroed);
  EXPECT_EQ(huge.usable_bytes(block), 2 * kMiB + 4096);
  EXPECT_TRUE(os.is_mapped(block, 2 * kMiB + 4096));
  EXPECT_FALSE(is_known(block + 4096));
  heap::HugeBlocks<FakeVm>::Entry entry;
  ASSERT_TRUE(huge.lookup(block + 4096, true, entry));
  EXPECT_EQ(entry.address, base::address_of(block));
  EXPECT_FALSE(huge.lookup(block + 2 * kMiB + 4096, true, entry));
  EXPECT_FALSE(release(block + 16));
  EXPECT_TRUE(release(block));
  EXPECT_FALSE(release(block));
  EXPECT_FALSE(os.is_mapped(block, 4096)) << "nothing is kept with a limit of 0";
}

TEST_F(HugeBlocksTest, EveryAlignmentLeavesNothingElseMapped) {
  const size_t before = os.mapped_bytes();
  for (size_t alignment = 16; alignment <= (size_t{1} << 30); alignment *= 4) {
    void* const block = allocate(kMiB, alignment);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(base::address_of(block) % alignment, 0u);
    EXPECT_EQ(os.mapped_bytes() - before, metadata.mapped_bytes() + kMiB);
    ASSERT_TRUE(release(block));
  }
}

TEST_F(HugeBlocksTest, ImpossibleSizesAreRefused) {
  EXPECT_EQ(allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(allocate(SIZE_MAX - 4096), nullptr);
  EXPECT_EQ(allocate(kMiB, size_t{1} << 63), nullptr);
  void* const block = allocate(kMiB);
  EXPECT_EQ(huge.resize(vm, metadata, block, SIZE_MAX - 10), nullptr);
  EXPECT_EQ(huge.usable_bytes(block), kMiB);
}

TEST_F(HugeBlocksTest, FreedMappingsAreKeptForReuse) {
  config.huge_cache_bytes = 10 * kMiB;
  void* const block = allocate(4 * kMiB);
  memset(block, 1, 4 * kMiB);
  ASSERT_TRUE(release(block));
  EXPECT_EQ(huge.kept_bytes(), 4 * kMiB);
  EXPECT_EQ(allocate(3 * kMiB + 600'000), block) << "up to an eighth too large is good";
  EXPECT_FALSE(zeroed);
  EXPECT_EQ(huge.usable_bytes(block), 4 * kMiB);
  ASSERT_TRUE(release(block));
  EXPECT_EQ(huge.purge(purger, 0), 4 * kMiB);
  EXPECT_EQ(huge.kept_bytes(), 0u);
  EXPECT_FALSE(os.is_mapped(block, 4096));
}

TEST_F(HugeBlocksTest, ABlockTakesAPieceOfWhatIsKept) {
  config.huge_cache_bytes = 10 * kMiB;
  auto* const whole = static_cast<char*>(allocate(8 * kMiB));
  ASSERT_TRUE(release(whole));
  EXPECT_EQ(allocate(2 * kMiB), whole + 6 * kMiB) << "a block at `whole` would hide a double free";
  EXPECT_EQ(allocate(kMiB), whole + 5 * kMiB);
  EXPECT_EQ(huge.kept_bytes(), 5 * kMiB);
  ASSERT_TRUE(release(whole + 6 * kMiB));
  ASSERT_TRUE(release(whole + 5 * kMiB));
  EXPECT_EQ(huge.allocate_kept(vm, metadata, 8 * kMiB, 0, false), whole)
      << "its pieces are one again";
  EXPECT_EQ(huge.allocate_kept(vm, metadata, kMiB, 0, false), nullptr);
}

TEST_F(HugeBlocksTest, WhatABlockLeavesBehindItTakesAgain) {
  config.huge_cache_bytes = 10 * kMiB;
  auto* const block = static_cast<char*>(allocate(8 * kMiB));
  const size_t footprint = limits.footprint();
  const uint64_t calls = os.calls();
  ASSERT_TRUE(huge.resize_in_place(vm, config, block, kMiB));
  EXPECT_EQ(huge.usable_bytes(block), kMiB);
  EXPECT_EQ(huge.kept_bytes(), 7 * kMiB);
  ASSERT_TRUE(huge.resize_in_place(vm, config, block, 5 * kMiB));
  EXPECT_EQ(huge.usable_bytes(block), 5 * kMiB);
  EXPECT_EQ(huge.live_bytes(), 5 * kMiB);
  EXPECT_FALSE(huge.resize_in_place(vm, config, block, 9 * kMiB)) << "not so much is behind it";
  EXPECT_EQ(huge.usable_bytes(block), 5 * kMiB);
  EXPECT_EQ(os.calls(), calls);
  EXPECT_EQ(limits.footprint(), footprint) << "what is kept counts";
  EXPECT_EQ(huge.purge(purger, 2 * kMiB), kMiB) << "no more than has to go, and off its end";
  EXPECT_TRUE(os.is_mapped(block, 7 * kMiB));
  EXPECT_FALSE(os.is_mapped(block + 7 * kMiB, 4096));
  ASSERT_TRUE(huge.resize_in_place(vm, config, block, 7 * kMiB));
  EXPECT_EQ(huge.kept_bytes(), 0u);
}

TEST_F(HugeBlocksTest, NothingIsCutOffThatCannotBeKept) {
  void* const block = allocate(8 * kMiB);
  EXPECT_FALSE(huge.resize_in_place(vm, config, block, kMiB)) << "nothing is kept at all";
  config.huge_cache_bytes = 10 * kMiB;
  EXPECT_FALSE(huge.resize_in_place(vm, config, block, 8 * kMiB - 4096)) << "not worth a place";
  EXPECT_EQ(huge.usable_bytes(block), 8 * kMiB);
  EXPECT_EQ(huge.live_bytes(), 8 * kMiB);
}

TEST_F(HugeBlocksTest, KeepsNoMoreThanTheLimit) {
  config.huge_cache_bytes = 10 * kMiB;
  std::vector<void*> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(allocate(3 * kMiB));
  for (void* block : blocks) {
    ASSERT_TRUE(release(block));
    ASSERT_LE(huge.kept_bytes(), config.huge_cache_bytes);
  }
  EXPECT_EQ(huge.kept_bytes(), 9 * kMiB);
}

// Then the process is not larger than it was, and the background gives back what nobody needs.
TEST_F(HugeBlocksTest, KeepsMoreBelowWhatWasInUseAtATime) {
  config.huge_cache_bytes = 10 * kMiB;
  config.purge = true;
  void* const blocks[] = {allocate(20 * kMiB), allocate(25 * kMiB)};
  for (void* const block : blocks) ASSERT_TRUE(release(block));
  EXPECT_EQ(huge.kept_bytes(), 20 * kMiB) << "four times the option at most";
  ASSERT_NE(allocate(41 * kMiB), nullptr);
  EXPECT_EQ(huge.kept_bytes(), 0u) << "together they would be more than were in use";
}

TEST_F(HugeBlocksTest, WhatABlockLeavesIsKeptAsFarAsUsual) {
  config.huge_cache_bytes = 10 * kMiB;
  config.purge = true;
  void* const block = allocate(30 * kMiB);
  EXPECT_FALSE(huge.resize_in_place(vm, config, block, 15 * kMiB));
  ASSERT_TRUE(huge.resize_in_place(vm, config, block, 25 * kMiB));
  EXPECT_EQ(huge.kept_bytes(), 5 * kMiB);
}

TEST_F(HugeBlocksTest, AKeptMappingBecomesALongerOne) {
  config.huge_cache_bytes = 10 * kMiB;
  auto* const kept = static_cast<char*>(allocate(6 * kMiB));
  kept[6 * kMiB - 1] = 7;
  ASSERT_TRUE(release(kept));
  const size_t footprint = limits.footprint();
  os.fail_kind(VmCall::kRemap);
  void* const other = allocate(9 * kMiB);
  ASSERT_NE(other, nullptr);
  EXPECT_TRUE(zeroed);
  EXPECT_EQ(huge.kept_bytes(), 6 * kMiB) << "a refusal changes nothing";
  EXPECT_EQ(limits.footprint(), footprint + 9 * kMiB);
  os.heal();
  auto* const block = static_cast<char*>(allocate(9 * kMiB));
  ASSERT_NE(block, nullptr);
  EXPECT_FALSE(zeroed);
  EXPECT_EQ(block[6 * kMiB - 1], 7) << "its pages are those that were kept";
  EXPECT_EQ(huge.usable_bytes(block), 9 * kMiB);
  EXPECT_EQ(huge.kept_bytes(), 0u);
  EXPECT_EQ(limits.footprint(), footprint + 12 * kMiB);
  ASSERT_TRUE(release(block));
  ASSERT_NE(allocate(19 * kMiB), nullptr);
  EXPECT_EQ(huge.kept_bytes(), 9 * kMiB) << "less than half is not worth it";
}

class SparseHugeBlocksTest : public HugeBlocksTest {
 protected:
  SparseHugeBlocksTest() : HugeBlocksTest({.sparse = true}) {}
};

TEST_F(SparseHugeBlocksTest, NowAndThenOneIsKeptWithoutItsPages) {
  config.huge_cache_bytes = 10 * kMiB;
  config.purge = true;
  auto* block = static_cast<char*>(allocate(12 * kMiB));
  int frees = 0;
  for (; frees < 100; ++frees) {
    *block = 1;
    ASSERT_TRUE(release(block));
    ASSERT_EQ(huge.kept_bytes(), 12 * kMiB);
    block = static_cast<char*>(allocate(12 * kMiB));
    if (*block == 0) break;
  }
  EXPECT_GT(frees, 1);
  EXPECT_LT(frees, 100);
}

TEST_F(HugeBlocksTest, KeptMappingsGoWhenMemoryIsShort) {
  config.huge_cache_bytes = 100 * kMiB;
  ASSERT_TRUE(release(allocate(4 * kMiB)));
  os.fail_calls(os.calls() + 1);  // the next map() fails, the one after that does not
  EXPECT_NE(allocate(20 * kMiB), nullptr);
  EXPECT_EQ(huge.kept_bytes(), 0u);
}

TEST_F(HugeBlocksTest, ResizeMovesThePages) {
  auto* block = static_cast<char*>(allocate(2 * kMiB));
  block[0] = 1;
  block[2 * kMiB - 1] = 2;
  auto* grown = static_cast<char*>(huge.resize(vm, metadata, block, 5 * kMiB));
  ASSERT_NE(grown, nullptr);
  EXPECT_NE(grown, block);
  EXPECT_FALSE(is_known(block));
  EXPECT_EQ(huge.usable_bytes(grown), 5 * kMiB);
  EXPECT_EQ(grown[0], 1);
  EXPECT_EQ(grown[2 * kMiB - 1], 2);
  os.fail_kind(VmCall::kRemap);
  EXPECT_EQ(huge.resize(vm, metadata, grown, 9 * kMiB), nullptr);
  EXPECT_EQ(huge.usable_bytes(grown), 5 * kMiB) << "a refusal changes nothing";
  EXPECT_EQ(huge.live_bytes(), 5 * kMiB);
  EXPECT_EQ(huge.live_blocks(), 1u);
}

TEST_F(HugeBlocksTest, AdoptsAMapping) {
  ASSERT_TRUE(release(allocate(kMiB)));
  void* const mapping = vm.map(2 * kMiB);
  memset(mapping, 3, 2 * kMiB);
  os.fail_kind(VmCall::kRemap);
  EXPECT_EQ(huge.adopt(vm, metadata, mapping, 2 * kMiB, 3 * kMiB, 0), nullptr);
  EXPECT_TRUE(os.is_mapped(mapping, 2 * kMiB));
  os.heal();
  auto* block = static_cast<char*>(huge.adopt(vm, metadata, mapping, 2 * kMiB, 3 * kMiB, 0));
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block[2 * kMiB - 1], 3);
  EXPECT_EQ(huge.usable_bytes(block), 3 * kMiB);
}

// What grows takes fresh pages: if kept ones did not go for it, blocks that grew would pile up.
TEST_F(HugeBlocksTest, GrowthMakesKeptMappingsGo) {
  config.huge_cache_bytes = 10 * kMiB;
  auto* const kept = static_cast<char*>(allocate(6 * kMiB));
  void* const block = allocate(2 * kMiB);
  ASSERT_TRUE(release(kept));
  void* grown = huge.resize(vm, metadata, block, 5 * kMiB);
  ASSERT_NE(grown, nullptr);
  EXPECT_EQ(huge.kept_bytes(), 6 * kMiB) << "not for so little";
  grown = huge.resize(vm, metadata, grown, 6 * kMiB);
  ASSERT_NE(grown, nullptr);
  EXPECT_EQ(huge.kept_bytes(), 2 * kMiB) << "as much as it has grown by";
  EXPECT_TRUE(os.is_mapped(kept, 2 * kMiB));
  EXPECT_FALSE(os.is_mapped(kept + 2 * kMiB, 4096));
  ASSERT_NE(huge.resize(vm, metadata, grown, 10 * kMiB), nullptr);
  EXPECT_EQ(huge.kept_bytes(), 0u);
  EXPECT_FALSE(os.is_mapped(kept, 4096));
}

TEST_F(HugeBlocksTest, RefusedUnmapLosesNothing) {
  void* const block = allocate(2 * kMiB);
  os.fail_kind(VmCall::kUnmap);
  ASSERT_TRUE(release(block));
  os.heal();
  EXPECT_EQ(huge.purge(purger, 0), 2 * kMiB) << "kept until it can be given back";
}

TEST_F(HugeBlocksTest, WhatTheSystemRefusesToUnmapGoesLater) {
  const size_t before = os.mapped_bytes();
  const size_t footprint = limits.footprint();
  os.fail_kind(VmCall::kUnmap);
  std::vector<void*> blocks;
  for (int i = 0; i < 40; ++i) blocks.push_back(allocate(2 * kMiB, 8 * kMiB));
  for (void* block : blocks) ASSERT_TRUE(release(block));
  EXPECT_GT(huge.unwanted_bytes(), 40 * 8 * kMiB) << "around the blocks, and more than are kept";
  EXPECT_EQ(os.mapped_bytes() - before,
            metadata.mapped_bytes() + huge.unwanted_bytes() + huge.kept_bytes());
  os.heal();
  huge.purge(purger, 0);
  EXPECT_EQ(huge.unwanted_bytes(), 0u);
  EXPECT_EQ(os.mapped_bytes() - before, metadata.mapped_bytes());
  EXPECT_EQ(limits.footprint() - footprint, metadata.mapped_bytes());
}

TEST_F(HugeBlocksTest, RegistryBehavesLikeAMap) {
  std::mt19937 random(9);
  std::map<void*, size_t> live;
  config.huge_cache_bytes = 64 << 10;
  for (int step = 0; step < 5000; ++step) {
    const unsigned what = random() % 4;
    if (what < 2 && live.size() < 300) {
      const size_t bytes = 4096 * (1 + random() % 4);
      void* const block = allocate(bytes);
      ASSERT_NE(block, nullptr);
      ASSERT_EQ(live.count(block), 0u);
      ASSERT_GE(huge.usable_bytes(block), bytes);
      live[block] = huge.usable_bytes(block);
    } else if (!live.empty()) {
      auto victim = live.lower_bound(reinterpret_cast<void*>(uintptr_t{random()} << 16));
      if (victim == live.end()) victim = live.begin();
      if (what == 2) {
        const size_t bytes = 4096 * (1 + random() % 4);
        void* const moved = huge.resize(vm, metadata, victim->first, bytes);
        ASSERT_NE(moved, nullptr);
        live.erase(victim);
        live[moved] = bytes;
      } else {
        ASSERT_TRUE(release(victim->first));
        live.erase(victim);
      }
    }
  }
  size_t found = 0;
  huge.for_each([&](const auto& entry) {
    const auto it = live.find(reinterpret_cast<void*>(entry.address));
    EXPECT_TRUE(it != live.end() && it->second == entry.bytes);
    ++found;
    return true;
  });
  EXPECT_EQ(found, live.size());
  EXPECT_EQ(huge.live_blocks(), live.size());
}

// Every resize that moves leaves an erased entry behind: the table must not fill up with them, or
// looking for an address that is not there never ends.
TEST_F(HugeBlocksTest, LookingForAStrangerEndsAfterManyMoves) {
  void* block = allocate(kMiB);
  for (int i = 0; i < 1000; ++i) {
    block = huge.resize(vm, metadata, block, kMiB + 4096 * (1 + i % 2));
    ASSERT_NE(block, nullptr);
  }
  alarm(60);  // ends the process, should this be a test of an endless loop
  int stranger = 0;
  EXPECT_FALSE(is_known(&stranger));
  for (uintptr_t page = 1; page < 1000; ++page) {
    EXPECT_FALSE(is_known(reinterpret_cast<void*>(page << 12)));
  }
  alarm(0);
}

}  // namespace
}  // namespace tide::tests
