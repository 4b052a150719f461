#include "heap/address_plan.h"

#include <vector>

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

using heap::AddressPlan;

// The ranges that a plan names, each with the largest size that its user may ask for.
std::vector<std::pair<uintptr_t, size_t>> ranges_of(const AddressPlan& plan) {
  const size_t w = plan.window_bytes;
  return {{plan.small_zone(), w},
          {plan.mid_zone(), w},
          {plan.large_zone(), w},
          {plan.small_states() - layout::kClassMapBytes, layout::kClassMapBytes},
          {plan.mid_states() - layout::kClassMapBytes, layout::kClassMapBytes},
          {plan.small_states(), w >> layout::kSmallGranuleShift},
          {plan.mid_states(), w >> layout::kMidGranuleShift},
          {plan.small_slabs(), w / (64 << 10) * sizeof(layout::Slab)},
          {plan.mid_slabs(), w / (512 << 10) * sizeof(layout::Slab)},
          {plan.span_entries(), w / layout::kSpanPageBytes * sizeof(layout::SpanEntry)}};
}

// Attempts until there are no more places; `check` sees each plan.
template <class Check>
unsigned for_each_plan(FakeVm& vm, Check check) {
  AddressPlan plan;
  unsigned attempt = 0;
  for (; attempt < 1000 && heap::plan_addresses(vm, attempt, plan); ++attempt) {
    if (plan.base != 0) check(attempt, plan);
  }
  return attempt;
}

class AddressPlanTest : public OsFixture {
 protected:
  AddressPlanTest() : OsFixture({.address_bits = 47, .seed = 0x123456789abcdef}) {}
};

TEST_F(AddressPlanTest, RangesAreApartAlignedAndInside) {
  const unsigned attempts = for_each_plan(vm, [](unsigned attempt, const AddressPlan& plan) {
    Ranges seen;
    for (const auto& [begin, bytes] : ranges_of(plan)) {
      EXPECT_FALSE(seen.overlaps(begin, begin + bytes)) << attempt;
      EXPECT_EQ(begin % 65536, 0u) << "fits every page size";
      EXPECT_GE(begin, uintptr_t{1} << 32) << "the low range belongs to others";
      EXPECT_LE(begin + bytes, uintptr_t{1} << 47);
      seen.add(begin, begin + bytes);
    }
    EXPECT_EQ(plan.small_zone() % (64 << 10), 0u);
    EXPECT_EQ(plan.mid_zone() % (512 << 10), 0u);
    EXPECT_EQ(plan.base % heap::kPlanAlignment, 0u);
  });
  EXPECT_GT(attempts, 10u);
  EXPECT_LT(attempts, 1000u) << "it must come to an end";
}

TEST_F(AddressPlanTest, FirstWindowsAreATebibyteEach) {
  AddressPlan plan;
  ASSERT_TRUE(heap::plan_addresses(vm, 0, plan));
  EXPECT_EQ(plan.window_bytes, size_t{1} << 40);
  EXPECT_EQ(os.calls(), 0u) << "naming a place asks nobody";
}

TEST_F(AddressPlanTest, AttemptsNameDifferentPlaces) {
  Ranges seen;
  uintptr_t last = 0;
  for_each_plan(vm, [&](unsigned attempt, const AddressPlan& plan) {
    EXPECT_NE(plan.base, last) << attempt;
    last = plan.base;
  });
}

TEST(AddressPlan, SeedsSpread) {
  Ranges seen;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    FakeOs os({.address_bits = 47, .seed = seed * 0x9e3779b97f4a7c15});
    FakeOs::current() = &os;
    FakeVm vm;
    AddressPlan plan;
    ASSERT_TRUE(heap::plan_addresses(vm, 0, plan));
    EXPECT_FALSE(seen.covers(plan.base, plan.base + 1)) << seed;
    seen.add(plan.base, plan.base + 1);
  }
}

TEST(AddressPlan, FewAddressBitsAskForAPlace) {
  FakeOs os;  // 34 bits
  FakeOs::current() = &os;
  FakeVm vm;
  AddressPlan plan;
  ASSERT_TRUE(heap::plan_addresses(vm, 0, plan));
  EXPECT_EQ(os.calls(VmCall::kFindFree), 1u);
  EXPECT_NE(plan.base, 0u);
  for (const auto& [begin, bytes] : ranges_of(plan)) {
    EXPECT_EQ(vm.map_at(begin, 65536), sys::MapResult::kOk);
    EXPECT_EQ(vm.map_at(begin + base::align_down(bytes - 65536, 65536), 65536),
              sys::MapResult::kOk);
  }
}

}  // namespace
}  // namespace tide::tests
