// What the options say, and what `auto` stands for.
#include "api/limits.h"

#include <gtest/gtest.h>

namespace tide::api {
namespace {

constexpr sys::CgroupLimits kNoGroup = {sys::kUnlimited, sys::kUnlimited};

TEST(AutoLimits, NoneWithoutAGroupsLimit) {
  const LimitBytes limits = auto_limits(kNoGroup);
  EXPECT_EQ(limits.soft, 0u);
  EXPECT_EQ(limits.hard, 0u);
}

TEST(AutoLimits, LeaveRoomForTheRestOfTheGroup) {
  const LimitBytes small = auto_limits({sys::kUnlimited, 160 * kMiB});
  EXPECT_EQ(small.hard, 150 * kMiB);
  EXPECT_EQ(small.soft, 144 * kMiB);
  const LimitBytes large = auto_limits({sys::kUnlimited, 100 * kGiB});
  EXPECT_EQ(large.hard, 100 * kGiB - 256 * kMiB);
  EXPECT_EQ(large.soft, 90 * kGiB);
}

TEST(AutoLimits, HighIsTheSoftOneWhenItIsLess) {
  EXPECT_EQ(auto_limits({50 * kMiB, 160 * kMiB}).soft, 50 * kMiB);
  EXPECT_EQ(auto_limits({155 * kMiB, 160 * kMiB}).soft, 144 * kMiB);
  EXPECT_EQ(auto_limits({50 * kMiB, sys::kUnlimited}).soft, 50 * kMiB);
  EXPECT_EQ(auto_limits({50 * kMiB, sys::kUnlimited}).hard, 0u);
}

TEST(LimitsOf, EachOptionForItself) {
  OptionSet options;
  const sys::CgroupLimits group = {sys::kUnlimited, 160 * kMiB};
  EXPECT_FALSE(has_auto_limit(options));
  EXPECT_EQ(limits_of(options, group).soft, 0u);
  EXPECT_EQ(limits_of(options, group).hard, 0u);
  ASSERT_EQ(options.set("limit_soft", "10m"), OptionFault::kNone);
  EXPECT_FALSE(has_auto_limit(options));
  ASSERT_EQ(options.set("limit_hard", "Auto"), OptionFault::kNone);
  EXPECT_TRUE(has_auto_limit(options));
  EXPECT_EQ(limits_of(options, group).soft, 10 * kMiB);
  EXPECT_EQ(limits_of(options, group).hard, 150 * kMiB);
  EXPECT_EQ(limits_of(options, kNoGroup).hard, 0u);
}

}  // namespace
}  // namespace tide::api
