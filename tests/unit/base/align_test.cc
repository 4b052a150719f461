#include "base/align.h"

#include <gtest/gtest.h>

namespace tide::base {
namespace {

TEST(Align, PowersOfTwo) {
  EXPECT_FALSE(is_power_of_two(0));
  for (unsigned bit = 0; bit < 64; ++bit) {
    const size_t value = size_t{1} << bit;
    EXPECT_TRUE(is_power_of_two(value));
    if (bit > 1) {
      EXPECT_FALSE(is_power_of_two(value - 1));
      EXPECT_FALSE(is_power_of_two(value + 1));
    }
  }
}

TEST(Align, UpAndDownAreTheNearestMultiples) {
  for (const size_t alignment : {size_t{1}, size_t{2}, size_t{16}, size_t{4096}, size_t{1} << 40}) {
    for (const uintptr_t near : {uintptr_t{0}, uintptr_t{alignment}, uintptr_t{7} * alignment}) {
      for (uintptr_t step = 0; step < 5; ++step) {
        const uintptr_t value = near + step;
        const uintptr_t up = align_up(value, alignment);
        const uintptr_t down = align_down(value, alignment);
        EXPECT_TRUE(is_aligned(up, alignment));
        EXPECT_TRUE(is_aligned(down, alignment));
        EXPECT_GE(up, value);
        EXPECT_LE(down, value);
        EXPECT_LT(up - value, alignment);
        EXPECT_LT(value - down, alignment);
        EXPECT_EQ(is_aligned(value, alignment), up == down);
      }
    }
  }
}

TEST(Align, UpWrapsToASmallValue) {
  EXPECT_EQ(align_up(UINTPTR_MAX, 4096), 0u);
  EXPECT_EQ(align_up(UINTPTR_MAX - 4095, 4096), UINTPTR_MAX - 4095);
  EXPECT_LT(align_up(UINTPTR_MAX - 100, 4096), UINTPTR_MAX - 100);
}

TEST(Align, PointersThereAndBack) {
  int object = 0;
  EXPECT_EQ(pointer_to<int>(address_of(&object)), &object);
}

}  // namespace
}  // namespace tide::base
