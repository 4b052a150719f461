// When memory goes back: the marks and the judgement, without a heap.
#include <gtest/gtest.h>

#include "heap/decay.h"
#include "heap/low_water.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

using heap::Decay;
using heap::LowWater;
using heap::Patience;

TEST(LowWater, IsTheLeastOverTheWindow) {
  LowWater mark;
  for (uint32_t slot = 1; slot < LowWater::kSlots; ++slot) {
    EXPECT_EQ(mark.close_slot(100), 0u) << "the window has not been seen whole";
  }
  EXPECT_EQ(mark.close_slot(100), 0u) << "the first slot began with nothing";
  EXPECT_EQ(mark.close_slot(100), 100u);
  mark.note(30);
  mark.note(60);
  for (uint32_t slot = 0; slot < LowWater::kSlots; ++slot) {
    EXPECT_EQ(mark.close_slot(100), 30u) << slot;
  }
  EXPECT_EQ(mark.close_slot(100), 100u) << "the dip has left the window";
}

TEST(LowWater, NeverSaysMoreThanThereIs) {
  LowWater mark;
  for (uint32_t slot = 0; slot < 3 * LowWater::kSlots; ++slot) mark.close_slot(100);
  EXPECT_EQ(mark.close_slot(40), 40u);
}

TEST(Patience, GrowsWithRegretAndSlowlyShrinks) {
  Patience patience;
  EXPECT_EQ(patience.factor(), 1u);
  for (uint32_t factor = 2; factor <= 16; factor *= 2) {
    patience.gave_back(8 * kMiB);
    EXPECT_EQ(patience.retaken(4 * kMiB), 0u);
    patience.judge();
    EXPECT_EQ(patience.factor(), factor);
  }
  EXPECT_EQ(patience.all_regretted(), 16 * kMiB);
  uint32_t judgements = 0;
  while (patience.factor() != 1) {
    patience.judge();
    ASSERT_LT(++judgements, 10'000u);
  }
  EXPECT_GT(judgements, 100u) << "not at once";
}

TEST(Patience, GrowthIsNoRegret) {
  Patience patience;
  EXPECT_EQ(patience.retaken(1000), 1000u) << "nothing was given back: all of it is growth";
  patience.judge();
  EXPECT_EQ(patience.factor(), 1u);
  // What was given back long ago was right to go.
  patience.gave_back(size_t{8} << 20);
  for (int i = 0; i < 64; ++i) patience.judge();
  EXPECT_GT(patience.retaken(size_t{8} << 20), size_t{7} << 20);
}

TEST(Decay, IdleWhenNothingChanges) {
  Decay decay;
  decay.look(true, 0);
  decay.look(false, 0);
  EXPECT_FALSE(decay.is_idle()) << "one look may fall between two calls";
  decay.look(false, 0);
  EXPECT_TRUE(decay.is_idle());
  decay.look(true, 0);
  EXPECT_FALSE(decay.is_idle());
}

// A program that rests for 4 looks and then needs everything again.
TEST(Decay, LearnsTheRestsOfAProgram) {
  constexpr size_t kBytes = size_t{64} << 20;
  Decay decay;
  size_t taken = 0;
  size_t returned = 0;
  int purges = 0;
  for (int look = 0; look < 2000; ++look) {
    const bool works = look % 5 == 0;
    if (works) {
      taken += returned;
      returned = 0;
    }
    decay.look(works, taken);
    if (decay.is_idle() && returned == 0) {
      returned = kBytes;
      ++purges;
      decay.gave_back(kBytes);
    }
  }
  EXPECT_LT(purges, 40) << "of 400 rests";
  EXPECT_GT(decay.regretted_bytes(), 0u);
}

}  // namespace
}  // namespace tide::tests
