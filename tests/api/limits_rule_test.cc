// What the options say, and what `auto` stands for.
#include "api/limits.h"

#include <gtest/gtest.h>

#include "tests/unit/sys/cgroup_fixture.h"

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

// A group whose limits change while the process runs.
class TakeOver : public tests::CgroupFixture {
 protected:
  void SetUp() override {
    version_two("/a");
    ASSERT_EQ(options.set("limit_soft", "auto"), OptionFault::kNone);
    ASSERT_EQ(options.set("limit_hard", "auto"), OptionFault::kNone);
  }
  bool look_again() { return take_over(options, sys::cgroup_limits(room, root()), limits); }

  OptionSet options;
  heap::Limits limits;
};

TEST_F(TakeOver, FollowsTheGroup) {
  EXPECT_FALSE(look_again()) << "none before, none now";
  write("/sys/fs/cgroup/a/memory.max", "167772160\n");
  EXPECT_TRUE(look_again());
  EXPECT_EQ(limits.hard(), 150 * kMiB);
  EXPECT_EQ(limits.soft(), 144 * kMiB);
  EXPECT_FALSE(look_again());
  write("/sys/fs/cgroup/a/memory.high", "1048576\n");
  EXPECT_TRUE(look_again());
  EXPECT_EQ(limits.soft(), 1 * kMiB);
  write("/sys/fs/cgroup/a/memory.max", "max\n");
  EXPECT_TRUE(look_again());
  EXPECT_EQ(limits.hard(), 0u);
}

TEST_F(TakeOver, KeepsWhatItHasWhereNothingCanBeSeen) {
  write("/sys/fs/cgroup/a/memory.max", "167772160\n");
  EXPECT_TRUE(look_again());
  std::filesystem::remove(std::string(root()) + "/proc/self/cgroup");
  EXPECT_FALSE(look_again());
  EXPECT_EQ(limits.hard(), 150 * kMiB);
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
