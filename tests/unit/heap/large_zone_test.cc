#include "heap/large_zone_purge.h"
#include "heap/large_zone_repair.h"

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "tests/unit/heap/os_fixture.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

constexpr size_t kPage = layout::kSpanPageBytes;

class LargeZoneTest : public OsFixture {
 protected:
  static constexpr size_t kWindow = size_t{128} << 20;

  void SetUp() override {
    address = place(2 * kWindow);
    zone.place(vm, limits, address, address + kWindow, kWindow);
  }

  void* allocate(size_t bytes, size_t alignment = 0, uint16_t owner = 0) {
    return zone.allocate(vm, bytes, alignment, owner, zeroed);
  }
  bool release(void* p) {
    uint16_t owner = 0;
    return zone.release(p, owner) != 0;
  }
  void check_chain() {
    uint32_t page = 0;
    while (page < zone.page_count()) {
      ASSERT_NE(zone.entry(page).pages, 0u);
      ASSERT_NE(zone.entry(page).state, layout::SpanState::kInside);
      page += zone.entry(page).pages;
    }
    ASSERT_EQ(page, zone.page_count());
  }

  uintptr_t address = 0;
  bool zeroed = false;
  heap::PurgeFigures figures;
  heap::Purger<FakeVm> purger{vm, figures, false};
  heap::Limits limits;
  heap::LargeZone<FakeVm> zone;
};

TEST_F(LargeZoneTest, WholePagesKnownZeroWhenFresh) {
  void* const block = allocate(100'000);
  ASSERT_NE(block, nullptr);
  EXPECT_TRUE(zeroed);
  EXPECT_EQ(zone.usable_bytes(block), base::align_up(100'000, kPage));
  EXPECT_EQ(zone.live_blocks(), 1u);
  EXPECT_EQ(zone.live_bytes(), base::align_up(100'000, kPage));
  memset(block, 0xaa, zone.usable_bytes(block));
  ASSERT_TRUE(release(block));
  EXPECT_EQ(allocate(100'000), block) << "dirty memory is used first";
  EXPECT_FALSE(zeroed);
}

TEST_F(LargeZoneTest, OnlyStartsOfLiveBlocksAreKnown) {
  auto* block = static_cast<char*>(allocate(10 * kPage));
  for (size_t offset : {size_t{1}, size_t{16}, kPage, 9 * kPage}) {
    EXPECT_EQ(zone.usable_bytes(block + offset), 0u);
    EXPECT_FALSE(release(block + offset));
  }
  EXPECT_TRUE(release(block));
  EXPECT_FALSE(release(block)) << "a double free";
  EXPECT_EQ(zone.usable_bytes(block), 0u);
}

TEST_F(LargeZoneTest, NeighboursMergeInEveryOrder) {
  for (const std::array<int, 3>& order :
       {std::array{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
    void* blocks[3];
    for (void*& block : blocks) block = allocate(20 * kPage);
    void* const fence = allocate(kPage);
    for (const int i : order) ASSERT_TRUE(release(blocks[i]));
    check_chain();
    void* const all = allocate(60 * kPage);
    EXPECT_EQ(all, std::min({blocks[0], blocks[1], blocks[2]}));
    ASSERT_TRUE(release(all));
    ASSERT_TRUE(release(fence));
  }
}

TEST_F(LargeZoneTest, EveryAlignment) {
  for (size_t alignment = 1; alignment <= (size_t{16} << 20); alignment *= 2) {
    for (const size_t bytes : {size_t{1}, kPage, size_t{70'000}}) {
      void* const block = allocate(bytes, alignment);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(base::address_of(block) % alignment, 0u);
      EXPECT_GE(zone.usable_bytes(block), bytes);
      check_chain();
      ASSERT_TRUE(release(block));
      check_chain();
    }
  }
  EXPECT_EQ(zone.live_bytes(), 0u);
}

TEST_F(LargeZoneTest, GrowsIntoAFreeNeighbourAndShrinksInPlace) {
  auto* block = static_cast<char*>(allocate(20 * kPage));
  void* const next = allocate(30 * kPage);
  void* const fence = allocate(kPage);
  memset(block, 0x77, 20 * kPage);
  EXPECT_FALSE(zone.resize(block, 21 * kPage)) << "the neighbour is live";
  ASSERT_TRUE(release(next));
  ASSERT_TRUE(zone.resize(block, 40 * kPage));
  EXPECT_EQ(zone.usable_bytes(block), 40 * kPage);
  check_chain();
  EXPECT_FALSE(zone.resize(block, 51 * kPage)) << "more than there is";
  ASSERT_TRUE(zone.resize(block, 50 * kPage)) << "all of it";
  check_chain();
  ASSERT_TRUE(zone.resize(block, 17 * kPage));
  EXPECT_EQ(zone.usable_bytes(block), 17 * kPage);
  check_chain();
  for (size_t i = 0; i < 17 * kPage; ++i) ASSERT_EQ(block[i], 0x77);
  EXPECT_EQ(zone.live_bytes(), 18 * kPage);
  ASSERT_TRUE(release(block));
  ASSERT_TRUE(release(fence));
  check_chain();
}

TEST_F(LargeZoneTest, GrowsOverNeighboursOfBothKinds) {
  auto* const block = static_cast<char*>(allocate(20 * kPage));
  void* const clean = allocate(10 * kPage);
  void* const dirty = allocate(10 * kPage);
  void* const fence = allocate(kPage);
  ASSERT_TRUE(release(clean));
  ASSERT_EQ(zone.purge(purger), 10 * kPage);
  ASSERT_TRUE(release(dirty));
  const size_t footprint = limits.footprint();
  EXPECT_FALSE(zone.resize(block, 41 * kPage)) << "more than both";
  EXPECT_EQ(zone.usable_bytes(block), 20 * kPage);
  ASSERT_TRUE(zone.resize(block, 35 * kPage));
  EXPECT_EQ(zone.usable_bytes(block), 35 * kPage);
  EXPECT_EQ(zone.dirty_bytes(), 5 * kPage);
  EXPECT_EQ(zone.live_bytes(), 36 * kPage);
  EXPECT_EQ(limits.footprint() - footprint, 10 * kPage) << "what was clean";
  check_chain();
  ASSERT_TRUE(release(block));
  ASSERT_TRUE(release(fence));
  check_chain();
}

TEST_F(LargeZoneTest, AnAlignedBlockComesBackToItsPlace) {
  constexpr size_t kWanted = 2 * kMiB;
  for (const size_t pages : {1, 20, 100}) {
    void* const block = allocate(pages * kPage, kWanted);
    ASSERT_NE(block, nullptr);
    ASSERT_TRUE(release(block));
    EXPECT_EQ(allocate(pages * kPage, kWanted), block) << "the free span is long enough";
    EXPECT_FALSE(zeroed);
    void* const fence = allocate(pages * kPage, kWanted);
    EXPECT_NE(fence, block);
    ASSERT_TRUE(release(block));
    ASSERT_TRUE(release(fence));
    check_chain();
    zone.purge(purger);
  }
}

TEST_F(LargeZoneTest, OnlyWhatIsDirtyWhereNothingElseIsWanted) {
  EXPECT_EQ(zone.allocate_dirty(10 * kPage, 0), nullptr);
  void* const block = allocate(10 * kPage);
  void* const fence = allocate(kPage);
  ASSERT_TRUE(release(block));
  EXPECT_EQ(zone.allocate_dirty(11 * kPage, 0), nullptr);
  EXPECT_EQ(zone.allocate_dirty(7 * kPage, 0), block);
  EXPECT_EQ(zone.usable_bytes(block), 7 * kPage);
  EXPECT_EQ(zone.dirty_bytes(), 3 * kPage);
  check_chain();
  ASSERT_TRUE(release(block));
  ASSERT_TRUE(release(fence));
}

TEST_F(LargeZoneTest, PurgedSpansReadAsZeroAndAreKnownTo) {
  void* const a = allocate(40 * kPage);
  void* const fence = allocate(kPage);
  memset(a, 1, 40 * kPage);
  memset(fence, 2, kPage);
  ASSERT_TRUE(release(a));
  EXPECT_EQ(zone.dirty_bytes(), 40 * kPage);
  EXPECT_EQ(zone.purge(purger), 40 * kPage);
  EXPECT_EQ(zone.dirty_bytes(), 0u);
  check_chain();
  EXPECT_EQ(*static_cast<char*>(fence), 2);
  auto* again = static_cast<unsigned char*>(allocate(40 * kPage));
  EXPECT_TRUE(zeroed);
  for (size_t i = 0; i < 40 * kPage; ++i) ASSERT_EQ(again[i], 0);
}

// Blocks of 1, 2, 1 and 2 MiB between live ones, of which the second and the last were given back:
// what no span fits is made of neighbours.
TEST_F(LargeZoneTest, ALongRequestTakesFreeNeighboursOfBothKinds) {
  for (const bool to_the_right : {true, false}) {
    char* const first = static_cast<char*>(allocate(2 * kMiB));
    char* const second = static_cast<char*>(allocate(2 * kMiB));
    void* const last = allocate(kMiB);
    ASSERT_EQ(second, first + 2 * kMiB);
    ASSERT_EQ(last, second + 2 * kMiB);
    ASSERT_TRUE(release(to_the_right ? second : first));
    ASSERT_EQ(zone.purge(purger), 2 * kMiB);
    ASSERT_TRUE(release(to_the_right ? first : second));
    const size_t dirty = zone.dirty_bytes();
    const size_t clean = zone.clean_bytes();
    const size_t footprint = limits.footprint();
    char* const block = static_cast<char*>(allocate(3 * kMiB));
    EXPECT_EQ(block, to_the_right ? first : first + kMiB);
    EXPECT_FALSE(zeroed);
    EXPECT_EQ(zone.usable_bytes(block), 3 * kMiB);
    EXPECT_EQ(dirty - zone.dirty_bytes(), 2 * kMiB) << "all that was dirty is used";
    EXPECT_EQ(clean - zone.clean_bytes(), kMiB) << "and of the other as much as is missing";
    EXPECT_EQ(limits.footprint() - footprint, kMiB);
    check_chain();
    ASSERT_TRUE(release(block));
    ASSERT_TRUE(release(last));
    zone.purge(purger);
    EXPECT_EQ(limits.footprint(), footprint - 3 * kMiB);
    check_chain();
    EXPECT_EQ(allocate(5 * kMiB), first) << "merged again";
    release(first);
    zone.purge(purger);
  }
}

TEST_F(LargeZoneTest, NeighboursThatAreNearlyAllCleanAreNotTorn) {
  char* const first = static_cast<char*>(allocate(8 * kMiB));
  void* const second = allocate(kMiB / 2);
  void* const last = allocate(kMiB);
  ASSERT_TRUE(release(first));
  zone.purge(purger);
  ASSERT_TRUE(release(second));
  EXPECT_EQ(allocate(6 * kMiB), first) << "a clean span that fits";
  EXPECT_TRUE(zeroed);
  release(last);
}

TEST_F(LargeZoneTest, NeighboursThatTheHardLimitForbidsStayAsTheyAre) {
  void* const first = allocate(2 * kMiB);
  void* const second = allocate(2 * kMiB);
  void* const last = allocate(kMiB);
  ASSERT_TRUE(release(second));
  zone.purge(purger);
  ASSERT_TRUE(release(first));
  limits.set(0, limits.footprint());
  EXPECT_EQ(allocate(3 * kMiB), nullptr);
  EXPECT_EQ(zone.dirty_bytes(), 2 * kMiB);
  check_chain();
  limits.set(0, 0);
  EXPECT_EQ(allocate(3 * kMiB), first);
  release(last);
}

TEST_F(LargeZoneTest, FailedPurgeKeepsTheSpan) {
  void* const a = allocate(40 * kPage);
  memset(a, 1, 40 * kPage);
  ASSERT_TRUE(release(a));
  os.fail_kind(VmCall::kPurge);
  EXPECT_EQ(zone.purge(purger), 0u);
  EXPECT_EQ(zone.dirty_bytes(), 40 * kPage);
  EXPECT_EQ(allocate(40 * kPage), a);
  EXPECT_FALSE(zeroed);
}

TEST_F(LargeZoneTest, AllOfAnOwnerGoAtOnce) {
  std::vector<void*> mine;
  std::vector<void*> others;
  for (int i = 0; i < 30; ++i) {
    mine.push_back(allocate((17 + i) * kPage, 0, 7));
    if (i % 3 == 0) others.push_back(allocate(20 * kPage, 0, 8));
    if (i % 5 == 0) {
      ASSERT_TRUE(release(allocate(25 * kPage)));
    }
  }
  zone.release_all_of(7);
  check_chain();
  for (void* block : mine) EXPECT_EQ(zone.usable_bytes(block), 0u);
  for (void* block : others) EXPECT_EQ(zone.usable_bytes(block), 20 * kPage);
  EXPECT_EQ(zone.live_blocks(), others.size());
}

TEST_F(LargeZoneTest, GoesRoundForeignMappings) {
  void* const first = allocate(20 * kPage);
  os.take_place(address + (size_t{1} << 20) + 8 * kPage, kPage);
  for (int i = 0; i < 40; ++i) {
    void* const block = allocate(64 * kPage);
    ASSERT_NE(block, nullptr);
    memset(block, 1, 64 * kPage);
    check_chain();
  }
  EXPECT_TRUE(release(first));
}

TEST_F(LargeZoneTest, PlacesThatAreRefusedLeaveNothingBehind) {
  ASSERT_NE(allocate(kPage), nullptr);
  os.take_calls(os.calls(VmCall::kMapAt) + 1, UINT64_MAX / 2);
  ASSERT_EQ(allocate(size_t{8} << 20), nullptr);  // its entries are there from now on
  const uint32_t pages = zone.page_count();
  const size_t counted = limits.footprint();
  const uint64_t calls = os.calls();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(allocate(size_t{8} << 20), nullptr);
  EXPECT_EQ(limits.footprint(), counted);
  EXPECT_EQ(zone.page_count(), pages);
  EXPECT_LE(os.calls(), calls + 50 * 40) << "it does not give up";
  os.heal();
  ASSERT_NE(allocate(size_t{8} << 20), nullptr);
  check_chain();
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
}

// A shorter piece than what is wanted next was mapped when the limit forbade its entries.
TEST_F(LargeZoneTest, APlaceBeyondWaitsForItsEntries) {
  ASSERT_NE(allocate(kPage), nullptr);
  const size_t end = size_t{zone.page_count()} << layout::kSpanPageShift;
  os.take_place(address + end, size_t{20} << 20);
  limits.set(0, limits.footprint() + 4 * kPage);
  ASSERT_EQ(allocate(size_t{4} << 20), nullptr);
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
  limits.set(0, 0);
  void* const block = allocate(size_t{16} << 20);
  ASSERT_NE(block, nullptr);
  memset(block, 1, size_t{16} << 20);
  check_chain();
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
}

// For ThreadSanitizer: statistics are read without the lock.
TEST_F(LargeZoneTest, WhatIsMappedIsReadWhileItChanges) {
  void* const kept = allocate(size_t{1} << 20);
  ASSERT_TRUE(release(allocate(size_t{2} << 20)));
  const size_t mapped = zone.mapped_bytes();
  std::atomic<bool> has_read{false};
  std::atomic<bool> ends{false};
  std::thread reader([&] {
    while (!ends.load(std::memory_order_relaxed)) {
      EXPECT_LE(zone.mapped_bytes(), mapped);
      has_read.store(true, std::memory_order_relaxed);
    }
  });
  while (!has_read.load(std::memory_order_relaxed)) std::this_thread::yield();
  EXPECT_EQ(zone.unmap_free(vm), size_t{2} << 20);
  EXPECT_NE(allocate(size_t{2} << 20), nullptr) << "is mapped again";
  ASSERT_TRUE(vm.unmap(kept, size_t{1} << 20));
  zone.forget_unmapped(kept);
  ends.store(true, std::memory_order_relaxed);
  reader.join();
  EXPECT_EQ(zone.mapped_bytes(), mapped - (size_t{1} << 20));
}

TEST_F(LargeZoneTest, NullWhenTheWindowIsFull) {
  size_t total = 0;
  std::vector<void*> blocks;
  while (void* const block = allocate(size_t{1} << 20)) {
    blocks.push_back(block);
    total += size_t{1} << 20;
  }
  EXPECT_GT(total, kWindow / 2);
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
  for (void* block : blocks) ASSERT_TRUE(release(block));
  EXPECT_NE(allocate(size_t{32} << 20), nullptr);
}

TEST_F(LargeZoneTest, RebuildFindsTheSameSpans) {
  std::mt19937 random(5);
  std::map<void*, size_t> live;
  for (int i = 0; i < 300; ++i) {
    if (live.empty() || random() % 3 != 0) {
      const size_t bytes = kPage * (1 + random() % 40);
      void* const block = allocate(bytes);
      ASSERT_NE(block, nullptr);
      live[block] = bytes;
    } else {
      ASSERT_TRUE(release(live.begin()->first));
      live.erase(live.begin());
    }
    if (i % 40 == 0) zone.purge(purger);
  }
  const uint64_t bytes = zone.live_bytes();
  const uint64_t dirty = zone.dirty_bytes();
  const uint64_t clean = zone.clean_bytes();
  zone.rebuild();
  check_chain();
  EXPECT_EQ(zone.live_bytes(), bytes);
  EXPECT_EQ(zone.live_blocks(), live.size());
  EXPECT_EQ(zone.dirty_bytes(), dirty);
  EXPECT_EQ(zone.clean_bytes(), clean);
  for (const auto& [block, size] : live) ASSERT_EQ(zone.usable_bytes(block), size);
  for (const auto& [block, size] : live) ASSERT_TRUE(release(block));
  check_chain();
}

}  // namespace
}  // namespace tide::tests
