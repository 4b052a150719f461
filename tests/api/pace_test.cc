// How often something slow is done: with a clock that the test moves.
#include "api/pace.h"

#include <gtest/gtest.h>

namespace tide::api {
namespace {

constexpr uint64_t kLeast = 1'000'000;

TEST(Pace, AtOnceAndThenOnlyNowAndThen) {
  Pace pace(kLeast);
  ASSERT_TRUE(pace.begin(50));
  EXPECT_FALSE(pace.begin(60)) << "somebody is at it";
  pace.end(50, 100);
  EXPECT_FALSE(pace.begin(100));
  EXPECT_FALSE(pace.begin(99 + kLeast));
  EXPECT_TRUE(pace.begin(100 + kLeast));
}

TEST(Pace, WhatIsSlowIsDoneMoreRarely) {
  Pace pace(kLeast);
  ASSERT_TRUE(pace.begin(0));
  pace.end(0, 10 * kLeast);
  EXPECT_FALSE(pace.begin(1000 * kLeast));
  EXPECT_TRUE(pace.begin(2010 * kLeast));
}

TEST(Pace, AForkedChildStartsAnew) {
  Pace pace(kLeast);
  ASSERT_TRUE(pace.begin(50));
  pace.forget();
  EXPECT_TRUE(pace.begin(60));
}

}  // namespace
}  // namespace tide::api
