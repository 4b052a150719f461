#include "heap/zone_dump.h"
#include "heap/zone_purge.h"
#include "heap/zone_repair.h"

#include <sys/mman.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

using layout::kGranulesPerSlab;
using layout::kNoSlab;

// A small zone (parameter: kSmallGranuleShift) or a mid zone of 32 MiB.
class ZoneTest : public OsFixture, public testing::WithParamInterface<unsigned> {
 protected:
  static constexpr size_t kWindow = size_t{32} << 20;

  void SetUp() override {
    shift = GetParam();
    address = place(5 * kWindow);
    zone.place(vm, limits, shift, address, address + 2 * kWindow, address + 3 * kWindow, kWindow);
  }

  void* at(uintptr_t offset) const { return reinterpret_cast<void*>(address + offset); }
  size_t rotated(const void* p) const {
    return shift == layout::kSmallGranuleShift ? zone.granule_of<layout::kSmallGranuleShift>(p)
                                               : zone.granule_of<layout::kMidGranuleShift>(p);
  }

  unsigned shift = 0;
  uintptr_t address = 0;
  heap::PurgeFigures figures;
  heap::Purger<FakeVm> purger{vm, figures, false};
  heap::Limits limits;
  heap::Zone<FakeVm> zone;
};

INSTANTIATE_TEST_SUITE_P(Both, ZoneTest,
                         testing::Values(layout::kSmallGranuleShift, layout::kMidGranuleShift));

TEST_P(ZoneTest, EmptyBeforeItsStart) {
  EXPECT_EQ(zone.limit(), 0u);
  EXPECT_FALSE(zone.contains(at(0)));
  EXPECT_EQ(zone.mapped_bytes(), 0u);
}

TEST_P(ZoneTest, OneCompareTellsOwnGranulesFromEverythingElse) {
  ASSERT_TRUE(zone.start(vm));
  const size_t bytes = zone.limit() << shift;
  const size_t granule = size_t{1} << shift;
  for (uintptr_t offset = 0; offset < bytes; offset += granule) {
    ASSERT_EQ(rotated(at(offset)), offset / granule);
    ASSERT_EQ(zone.granule_of_any(at(offset)), offset / granule);
    ASSERT_TRUE(zone.contains(at(offset)));
    ASSERT_EQ(&zone.state(offset / granule), &zone.state_of_any(at(offset)));
  }
  for (uintptr_t inside = 1; inside < granule; ++inside) {
    ASSERT_GE(rotated(at(inside)), zone.limit());
    ASSERT_GE(rotated(at(bytes - inside)), zone.limit());
  }
  for (const uintptr_t foreign : {uintptr_t{0}, uintptr_t{16}, address - granule, address + bytes,
                                  address - 1, UINTPTR_MAX, UINTPTR_MAX / 2, uintptr_t{1} << 63}) {
    ASSERT_GE(rotated(reinterpret_cast<void*>(foreign)), zone.limit()) << std::hex << foreign;
  }
}

TEST_P(ZoneTest, SlabsAreAlignedToTheirSizeAndComeOnce) {
  ASSERT_TRUE(zone.start(vm));
  std::set<uint32_t> seen;
  const auto most = static_cast<uint32_t>(kWindow / zone.slab_bytes());
  for (;;) {
    const uint32_t index = zone.acquire(vm);
    if (index == kNoSlab) break;
    ASSERT_TRUE(seen.insert(index).second);
    ASSERT_LT(index, zone.slab_count());
    ASSERT_EQ(zone.slab_address(index) % zone.slab_bytes(), 0u);
    ASSERT_EQ(zone.index_of_address(reinterpret_cast<void*>(zone.slab_address(index))), index);
    ASSERT_FALSE(zone.slab(index).used_before);
    ASSERT_TRUE(os.is_mapped(reinterpret_cast<void*>(zone.slab_address(index)), zone.slab_bytes()));
  }
  EXPECT_GE(seen.size(), most - 1) << "the window is used to its end";
  EXPECT_LE(seen.size(), most);
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
}

TEST_P(ZoneTest, DirtySlabsComeBackBeforeCleanOnes) {
  ASSERT_TRUE(zone.start(vm));
  const uint32_t first = zone.acquire(vm);
  const uint32_t second = zone.acquire(vm);
  ASSERT_NE(second, kNoSlab);
  zone.release(second, true);
  zone.release(first, false);
  EXPECT_EQ(zone.acquire(vm), first);
  EXPECT_TRUE(zone.slab(first).used_before);
  EXPECT_EQ(zone.acquire(vm), second);
  EXPECT_FALSE(zone.slab(second).used_before);
}

TEST_P(ZoneTest, PurgedPoolReadsAsZero) {
  ASSERT_TRUE(zone.start(vm));
  const uint32_t index = zone.acquire(vm);
  auto* bytes = reinterpret_cast<unsigned char*>(zone.slab_address(index));
  memset(bytes, 0xaa, zone.slab_bytes());
  zone.release(index, false);
  EXPECT_EQ(zone.pool_bytes(true), zone.slab_bytes());
  EXPECT_EQ(zone.purge_pool(purger, 9), zone.slab_bytes() + layout::kGranulesPerSlab);
  EXPECT_EQ(zone.pool_bytes(true), 0u);
  EXPECT_EQ(zone.acquire(vm), index);
  EXPECT_FALSE(zone.slab(index).used_before);
  for (size_t i = 0; i < zone.slab_bytes(); i += 64) ASSERT_EQ(bytes[i], 0);
}

// What of a slab was given back while it had blocks counts once, and not as dirty afterwards.
TEST_P(ZoneTest, WhatIsGivenBackStaysSoInThePool) {
  ASSERT_TRUE(zone.start(vm));
  const size_t footprint = limits.footprint();
  const uint32_t index = zone.acquire(vm);
  zone.release(index, false);
  EXPECT_EQ(zone.acquire(vm), index);
  constexpr size_t kGone = layout::kPurgeUnits / 4;
  const size_t gone = kGone * zone.purge_unit_bytes();
  limits.dismiss(zone.mark_purged(zone.slab(index), 3, 3 + kGone));
  EXPECT_EQ(zone.returned(), gone);
  zone.release(index, false);
  EXPECT_EQ(zone.returned(), 0u);
  EXPECT_EQ(zone.pool_bytes(true), zone.slab_bytes() - gone);
  EXPECT_EQ(limits.footprint(), footprint + zone.slab_bytes() - gone);
  EXPECT_EQ(zone.acquire(vm), index);
  EXPECT_EQ(zone.pool_bytes(true), 0u);
  EXPECT_TRUE(layout::all_purged(zone.slab(index), 3, 3 + kGone));
  zone.release(index, false);
  size_t known_gone = 0;
  EXPECT_EQ(zone.purge_pool(purger, 9, &known_gone), zone.slab_bytes() + layout::kGranulesPerSlab);
  EXPECT_EQ(known_gone, gone);
  EXPECT_EQ(zone.pool_bytes(true), 0u);
  EXPECT_EQ(limits.footprint(), footprint);
  EXPECT_EQ(zone.acquire(vm), index);
  EXPECT_FALSE(layout::all_purged(zone.slab(index), 3, 4)) << "all of it is clean";
}

TEST_P(ZoneTest, PoolThatCannotBePurgedStaysDirty) {
  ASSERT_TRUE(zone.start(vm));
  const uint32_t index = zone.acquire(vm);
  zone.release(index, false);
  os.fail_kind(VmCall::kPurge);
  EXPECT_EQ(zone.purge_pool(purger, 9), 0u);
  EXPECT_EQ(zone.pool_bytes(true), zone.slab_bytes());
  os.heal();
  EXPECT_EQ(zone.purge_pool(purger, 9), zone.slab_bytes() + layout::kGranulesPerSlab);
}

TEST_P(ZoneTest, GoesRoundForeignMappings) {
  ASSERT_TRUE(zone.start(vm));
  // In the next slab and in one further up.
  const size_t slab = zone.slab_bytes();
  os.take_place(address + slab + 4096, 4096);
  os.take_place(address + 9 * slab, 4096);
  std::set<uint32_t> seen;
  for (int i = 0; i < 20; ++i) {
    const uint32_t index = zone.acquire(vm);
    ASSERT_NE(index, kNoSlab);
    ASSERT_TRUE(seen.insert(index).second);
    ASSERT_EQ(zone.slab(index).slot, layout::Slot::kMapped);
    memset(reinterpret_cast<void*>(zone.slab_address(index)), 1, slab);
  }
  EXPECT_EQ(seen.count(1), 0u);
  EXPECT_EQ(seen.count(9), 0u);
  EXPECT_EQ(zone.slab(1).slot, layout::Slot::kTaken);
  EXPECT_TRUE(zone.contains(at(slab)));
  EXPECT_EQ(zone.state_of_any(at(slab)), layout::kNotLive) << "no block starts there";
}

TEST_P(ZoneTest, PlacesThatAreRefusedLeaveNothingBehind) {
  ASSERT_TRUE(zone.start(vm));
  while (os.calls(VmCall::kMapAt) < 20) ASSERT_NE(zone.acquire(vm), kNoSlab);
  os.take_calls(os.calls(VmCall::kMapAt) + 1, UINT64_MAX / 2);
  // Slabs that there are, and the records for the next ones, which are made before a place is
  // looked for.
  while (zone.acquire(vm) != kNoSlab) {
  }
  const size_t counted = limits.footprint();
  const uint32_t slabs = zone.slab_count();
  const uint64_t calls = os.calls();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(zone.acquire(vm), kNoSlab);
  EXPECT_EQ(limits.footprint(), counted);
  EXPECT_EQ(zone.slab_count(), slabs);
  EXPECT_LE(os.calls(), calls + 50 * 40) << "it does not give up";
  os.heal();
  for (uint32_t i = 0; i < 20; ++i) ASSERT_EQ(zone.acquire(vm), slabs + i) << "no place is lost";
}

// The place is there, but not what its records need.
TEST_P(ZoneTest, APlaceBeyondWaitsForItsRecords) {
  ASSERT_TRUE(zone.start(vm));
  ASSERT_EQ(zone.acquire(vm), 0u);
  const uint32_t first = zone.slab_count();
  const uint32_t taken = shift == layout::kSmallGranuleShift ? 100 : 20;
  os.take_place(address + first * zone.slab_bytes(), taken * zone.slab_bytes());
  limits.set(0, limits.footprint() + (size_t{100} << 10));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(zone.acquire(vm), kNoSlab);
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
  EXPECT_EQ(zone.slab_count(), first);
  limits.set(0, 0);
  const uint32_t index = zone.acquire(vm);
  ASSERT_NE(index, kNoSlab);
  EXPECT_EQ(zone.mapped_bytes() + zone.metadata_bytes(), os.mapped_bytes());
  EXPECT_EQ(zone.slab(index).slot, layout::Slot::kMapped);
  memset(reinterpret_cast<void*>(zone.slab_address(index)), 1, zone.slab_bytes());
}

TEST_P(ZoneTest, StartSaysWhenThePlaceIsTaken) {
  os.take_place(address, 4096);
  EXPECT_FALSE(zone.start(vm));
}

TEST_P(ZoneTest, StartElsewhereAfterAPlaceThatWasTaken) {
  os.take_place(address, 4096);
  ASSERT_FALSE(zone.start(vm));
  const uintptr_t other = place(5 * kWindow);
  zone.place(vm, limits, shift, other, other + 2 * kWindow, other + 3 * kWindow, kWindow);
  ASSERT_TRUE(zone.start(vm));
  const uint32_t index = zone.acquire(vm);
  ASSERT_NE(index, kNoSlab);
  const uintptr_t slab = zone.slab_address(index);
  ASSERT_GE(slab, other);
  EXPECT_TRUE(os.is_mapped(reinterpret_cast<void*>(slab), zone.slab_bytes()));
  EXPECT_TRUE(os.is_mapped(&zone.state_of_any(reinterpret_cast<void*>(slab)), kGranulesPerSlab));
  EXPECT_TRUE(os.is_mapped(&zone.slab(index), sizeof(layout::Slab)));
}

TEST_P(ZoneTest, EveryFailingCallLeavesItUsable) {
  for (uint64_t k = 1; k <= 5; ++k) {
    FakeOs other;
    FakeOs::current() = &other;
    FakeVm other_vm;
    heap::Zone<FakeVm> z;
    const uintptr_t place = base::align_up(other_vm.find_free(6 * kWindow), kWindow);
    z.place(other_vm, limits, shift, place, place + 2 * kWindow, place + 3 * kWindow, kWindow);
    other.fail_calls(other.calls() + k);
    if (!z.start(other_vm)) {
      ASSERT_TRUE(z.start(other_vm)) << "call " << k;
    }
    const uint32_t index = z.acquire(other_vm);
    ASSERT_NE(index, kNoSlab);
    memset(reinterpret_cast<void*>(z.slab_address(index)), 1, z.slab_bytes());
    ASSERT_EQ(z.state(size_t{index} * kGranulesPerSlab), layout::kNotLive);
  }
}

// Whether the page of a slab's bitmap is in memory.
bool has_bitmap(const heap::Zone<FakeVm>& zone, uint32_t index) {
  const uintptr_t words = base::address_of(zone.free_of(index).words);
  unsigned char resident = 0;
  EXPECT_EQ(mincore(reinterpret_cast<void*>(base::align_down(words, 4096)), 4096, &resident), 0);
  return (resident & 1) != 0;
}

TEST_P(ZoneTest, BitmapsGoWhenNoneOfAPageIsInUse) {
  ASSERT_TRUE(zone.start(vm));
  constexpr uint32_t kPerPage = 4096 / sizeof(ds::Bitmap4096::Words);
  constexpr uint32_t kSlabs = 3 * kPerPage;
  for (uint32_t i = 0; i < kSlabs; ++i) {
    ASSERT_EQ(zone.acquire(vm), i);
    zone.set_class(i, 1);
    zone.free_of(i).set(i);
  }
  const auto has_pages = [&] {
    return std::vector<bool>{has_bitmap(zone, 0), has_bitmap(zone, kPerPage),
                             has_bitmap(zone, 2 * kPerPage)};
  };
  ASSERT_EQ(has_pages(), (std::vector<bool>{true, true, true}));
  const uint32_t last = kPerPage + 3;
  for (uint32_t i = 0; i < kSlabs; ++i) {
    if (i != last) zone.release(i, i % 2 == 0);  // dirty and clean ones
  }
  zone.purge_pool(purger, UINT32_MAX);
  EXPECT_EQ(has_pages(), (std::vector<bool>{false, true, false}));
  EXPECT_TRUE(zone.free_of(last).test(last));
  zone.release(last, false);
  zone.purge_pool(purger, UINT32_MAX);
  EXPECT_EQ(has_pages(), (std::vector<bool>{false, false, false}));
  // All of them can be had again, each once.
  std::set<uint32_t> again;
  for (uint32_t i = 0; i < kSlabs; ++i) {
    const uint32_t index = zone.acquire(vm);
    EXPECT_TRUE(again.insert(index).second);
    EXPECT_TRUE(zone.free_of(index).empty());
  }
  EXPECT_EQ(*again.rbegin(), kSlabs - 1);
}

// What ThreadSanitizer sees: nothing orders the two threads here but what the zone does itself.
TEST_P(ZoneTest, StepsComeBackWhileTheZoneGrows) {
  ASSERT_TRUE(zone.start(vm));
  const auto table = std::make_unique<heap::DumpSteps::Table>();
  zone.dump_steps().start(*table);
  std::vector<uint32_t> slabs;
  while (slabs.size() * zone.slab_bytes() < heap::DumpSteps::kLeastZone) {
    slabs.push_back(zone.acquire(vm));
  }
  for (const uint32_t index : slabs) zone.release(index, true);
  zone.leave_out_free(vm, 0);
  const size_t left_out = os.left_out().bytes();
  ASSERT_GT(left_out, 0u);
  ASSERT_NE(zone.acquire(vm), kNoSlab);
  const uint32_t count = zone.slab_count();
  bool has_grown = false;
  std::thread other([&] {
    while (zone.slab_count() == count && zone.acquire(vm) != kNoSlab) continue;
    base::racy_store(has_grown, true);
  });
  while (!base::racy_load(has_grown)) std::this_thread::yield();
  zone.bring_back(vm);
  other.join();
  EXPECT_GT(zone.slab_count(), count);
  EXPECT_LT(os.left_out().bytes(), left_out);
}

TEST_P(ZoneTest, PoolsAreRebuiltFromTheRecords) {
  ASSERT_TRUE(zone.start(vm));
  const uint32_t live = zone.acquire(vm);
  const uint32_t dirty = zone.acquire(vm);
  const uint32_t clean = zone.acquire(vm);
  ASSERT_NE(clean, kNoSlab);
  zone.set_class(live, 1);
  zone.release(dirty, false);
  zone.release(clean, true);
  const size_t clean_bytes = zone.pool_bytes(false);
  zone.rebuild_pools();
  EXPECT_EQ(zone.pool_bytes(true), zone.slab_bytes());
  EXPECT_EQ(zone.pool_bytes(false), clean_bytes);
  EXPECT_EQ(zone.acquire(vm), dirty);
}

}  // namespace
}  // namespace tide::tests
