// Counting every call for profiles ends by itself in the second that who asked for it from outside
// has set, also where no sample falls meanwhile. Run with TIDE_PROFILE_CALLS=on.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "layout/heap_root.h"
#include "layout/profile_table.h"
#include "tide/tide.h"

extern "C" tide::layout::HeapRoot tide_heap_root;

namespace {

using namespace tide;

// So far apart that these tests make none.
constexpr size_t kFarApart = size_t{1} << 40;
constexpr size_t kBlockBytes = 200;
constexpr int kPairs = 2000;

uint32_t& is_on() {
  auto* const table = static_cast<const layout::ProfileTable*>(tide_heap_root.profile);
  return const_cast<layout::ProfileTable*>(table)->is_on;
}
uint32_t mode() { return __atomic_load_n(&is_on(), __ATOMIC_RELAXED); }

// As a reader from outside does it, so long ago that it is over.
void end_in_the_past() {
  const uint32_t ended = layout::counting_until(layout::kSamplesEveryCall, 1);
  __atomic_store_n(&is_on(), ended, __ATOMIC_RELAXED);
}

void allocate_in_a_short_cycle() {
  for (int i = 0; i < kPairs; ++i) free(malloc(kBlockBytes));
}

TEST(ProfileCalls, EndWithoutASample) {
  ASSERT_EQ(tide_profile_start(kFarApart), 0);
  allocate_in_a_short_cycle();
  ASSERT_TRUE(layout::counts_calls(mode()));
  end_in_the_past();
  allocate_in_a_short_cycle();
  EXPECT_EQ(mode(), static_cast<uint32_t>(layout::kSamplesPlaces));
  tide_profile_stop();
}

TEST(ProfileCalls, GoOnWithoutAnEnd) {
  ASSERT_EQ(tide_profile_start(kFarApart), 0);
  for (int i = 0; i < 20; ++i) allocate_in_a_short_cycle();
  EXPECT_TRUE(layout::counts_calls(mode()));
  tide_profile_stop();
}

}  // namespace
