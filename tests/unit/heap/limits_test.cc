#include "heap/limits.h"
#include "tests/unit/sizes.h"

#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace tide::tests {
namespace {

TEST(Limits, NoneAtFirst) {
  heap::Limits limits;
  EXPECT_TRUE(limits.admit(SIZE_MAX / 2));
  EXPECT_EQ(limits.footprint(), SIZE_MAX / 2);
  EXPECT_FALSE(limits.may_refuse(SIZE_MAX));
  EXPECT_FALSE(limits.is_tight());
}

TEST(Limits, HardIsExact) {
  heap::Limits limits;
  limits.set(0, kMiB);
  EXPECT_FALSE(limits.admit(kMiB + 1));
  EXPECT_EQ(limits.footprint(), 0u);
  EXPECT_TRUE(limits.admit(kMiB));
  EXPECT_FALSE(limits.has_room(1));
  EXPECT_FALSE(limits.admit(1));
  EXPECT_FALSE(limits.admit(SIZE_MAX)) << "no sum may wrap";
  EXPECT_TRUE(limits.may_refuse(SIZE_MAX));
  limits.dismiss(1);
  EXPECT_TRUE(limits.admit(1));
  limits.admit_always(kMiB);
  EXPECT_EQ(limits.footprint(), 2 * kMiB);
  limits.dismiss(kMiB + 1);
  EXPECT_TRUE(limits.admit(1)) << "back below it";
}

TEST(Limits, SoftSaysByHowMuch) {
  heap::Limits limits;
  limits.set(kMiB, 0);
  ASSERT_TRUE(limits.admit(kMiB));
  EXPECT_EQ(limits.soft_excess(), 0u);
  ASSERT_TRUE(limits.admit(5));
  EXPECT_EQ(limits.soft_excess(), 5u);
  EXPECT_TRUE(limits.is_tight());
  limits.dismiss(5);
  EXPECT_FALSE(limits.is_tight());
  limits.set_pressure(true);
  EXPECT_TRUE(limits.is_tight());
  EXPECT_EQ(limits.soft_excess(), 0u);
}

TEST(Limits, CachesAreSmallerWhenMemoryIsShort) {
  heap::Limits limits;
  EXPECT_EQ(limits.cache_share(8 * kMiB), 8 * kMiB);
  limits.set(0, 2048 * kMiB);
  EXPECT_EQ(limits.cache_share(8 * kMiB), 8 * kMiB);
  limits.set(0, 64 * kMiB);
  EXPECT_EQ(limits.cache_share(8 * kMiB), kMiB / 2);
  EXPECT_EQ(limits.cache_share(1000), 1000u);
  limits.set(0, 0);
  limits.set_pressure(true);
  EXPECT_EQ(limits.cache_share(8 * kMiB), kMiB);
}

TEST(Limits, ThreadsTogetherStayBelow) {
  heap::Limits limits;
  limits.set(0, 1000);
  std::atomic<bool> broken{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50'000; ++i) {
        if (!limits.admit(300)) continue;
        if (limits.footprint() > 1000) broken = true;
        limits.dismiss(300);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(broken);
  EXPECT_EQ(limits.footprint(), 0u);
}

}  // namespace
}  // namespace tide::tests
