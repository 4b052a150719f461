#include "heap/dump_steps.h"

#include <gtest/gtest.h>
#include <memory>
#include <random>

namespace tide::tests {
namespace {

using heap::DumpSteps;

constexpr size_t kStep = DumpSteps::kStepBytes;
constexpr size_t kZone = size_t{1} << 30;
constexpr size_t kSmall = size_t{16} << 20;

class DumpStepsTest : public testing::Test {
 protected:
  DumpStepsTest() : table(std::make_unique<DumpSteps::Table>()) { steps.start(*table); }

  void leave(uint32_t first, uint32_t end) {
    steps.start_leaving({first, end});
    steps.finish_leaving({first, end}, true);
  }
  // What comes back when bytes of `step` are wanted.
  DumpSteps::Range take(uint32_t step, size_t zone_bytes = kZone) {
    steps.want(step * kStep + 5, step * kStep + 6);
    const DumpSteps::Range range = steps.start_coming(zone_bytes);
    steps.finish_coming(range, true);
    return range;
  }

  std::unique_ptr<DumpSteps::Table> table;
  DumpSteps steps;
};

TEST_F(DumpStepsTest, OnlyWholeSteps) {
  EXPECT_TRUE(DumpSteps::whole(0, kStep - 1).is_empty());
  EXPECT_TRUE(DumpSteps::whole(1, kStep + 1).is_empty());
  const DumpSteps::Range range = DumpSteps::whole(1, 3 * kStep);
  EXPECT_EQ(range.first, 1u);
  EXPECT_EQ(range.end, 3u);
  EXPECT_EQ(DumpSteps::whole(0, size_t{1} << 40).end, DumpSteps::kSteps);
  EXPECT_TRUE(DumpSteps::whole(size_t{1} << 40, size_t{2} << 40).is_empty());
}

TEST_F(DumpStepsTest, AWantedStepComesWithItsGroup) {
  leave(4, 16);
  EXPECT_EQ(steps.left_out_bytes(), 12 * kStep);
  EXPECT_FALSE(steps.has_wanted());
  const DumpSteps::Range range = take(10);
  EXPECT_EQ(range.first, 8u);
  EXPECT_EQ(range.end, 12u);
  EXPECT_EQ(steps.ranges(), 2u);
  EXPECT_EQ(steps.left_out_bytes(), 8 * kStep);
  EXPECT_TRUE(take(10).is_empty()) << "it is there";
}

TEST_F(DumpStepsTest, OfAGroupComesWhatWasLeftOut) {
  leave(5, 7);
  leave(8, 12);
  const DumpSteps::Range range = take(6);
  EXPECT_EQ(range.first, 5u);
  EXPECT_EQ(range.end, 7u);
  EXPECT_EQ(steps.left_out_bytes(), 4 * kStep);
  steps.want(8 * kStep, 8 * kStep + 1);
  steps.want(11 * kStep, 11 * kStep + 1);
  EXPECT_EQ(steps.start_coming(kZone).bytes(), 4 * kStep) << "one call for both";
}

TEST_F(DumpStepsTest, TheShorterSideComesAsWellWhereRangesWouldBeTooMany) {
  leave(4, 24);
  for (uint32_t i = 1; i < DumpSteps::most_ranges(kSmall); ++i) leave(24 + 2 * i, 25 + 2 * i);
  const DumpSteps::Range range = take(9, kSmall);
  EXPECT_EQ(range.first, 4u);
  EXPECT_EQ(range.end, 12u);
  EXPECT_EQ(steps.ranges(), DumpSteps::most_ranges(kSmall));
  EXPECT_EQ(take(12, kSmall).bytes(), 4 * kStep) << "nothing is split at an end";
}

TEST_F(DumpStepsTest, NewRangesAreRefusedWhereThereAreEnough) {
  leave(4, 5);
  EXPECT_TRUE(steps.may_leave({9, 10}, 1, kSmall));
  EXPECT_FALSE(steps.may_leave({9, 10}, 2, kSmall)) << "too short";
  while (steps.ranges() < DumpSteps::most_ranges(kSmall)) {
    leave(10 * steps.ranges(), 10 * steps.ranges() + 1);
  }
  EXPECT_FALSE(steps.may_leave({80, 90}, 1, kSmall));
  EXPECT_TRUE(steps.may_leave({80, 90}, 1, kZone));
  EXPECT_TRUE(steps.may_leave({5, 6}, 8, kSmall)) << "beside a range";
  EXPECT_TRUE(steps.may_leave({2, 4}, 8, kSmall)) << "beside a range";
}

// What is not wholly said is said to be left out: that costs a call at most.
TEST_F(DumpStepsTest, AChildTakesWhatWasInHandForLeftOut) {
  leave(4, 16);
  steps.start_leaving({16, 18});
  steps.want(9 * kStep, 10 * kStep);
  const DumpSteps::Range range = steps.start_coming(kZone);
  ASSERT_EQ(range.first, 8u);
  steps.settle_in_child();
  EXPECT_EQ(steps.ranges(), 1u);
  EXPECT_EQ(steps.left_out_bytes(), 10 * kStep);
  EXPECT_TRUE(steps.is_left_out(17 * kStep));
  EXPECT_TRUE(steps.has_wanted());
  EXPECT_EQ(steps.start_coming(kZone).first, 8u);
}

TEST_F(DumpStepsTest, CountsAreRightAfterManySteps) {
  std::mt19937 random(5);
  std::vector<bool> out(300);
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t step = random() % 300;
    if (random() % 2 == 0) {
      const DumpSteps::Range range = steps.next_dumped(step, std::min(step + 5, 300u));
      if (steps.may_leave(range, 1, kZone)) {
        leave(range.first, range.end);
        for (uint32_t s = range.first; s != range.end; ++s) out[s] = true;
      }
    } else {
      const DumpSteps::Range range = take(step);
      ASSERT_EQ(range.is_empty(), !out[step]);
      for (uint32_t s = range.first; s != range.end; ++s) out[s] = false;
      ASSERT_FALSE(out[step]);
    }
    uint32_t ranges = 0;
    size_t bytes = 0;
    for (uint32_t s = 0; s < 300; ++s) {
      ASSERT_EQ(steps.is_left_out(s * kStep), out[s]);
      ranges += static_cast<uint32_t>(out[s] && (s == 0 || !out[s - 1]));
      bytes += out[s] ? kStep : 0;
    }
    ASSERT_EQ(steps.ranges(), ranges);
    ASSERT_LE(ranges, DumpSteps::most_ranges(kZone));
    ASSERT_EQ(steps.left_out_bytes(), bytes);
  }
}

}  // namespace
}  // namespace tide::tests
