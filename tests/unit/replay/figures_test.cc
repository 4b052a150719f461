// Medians, what is believed of them, and the test whether two rows differ.
#include "replay/figures.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "host/error.h"
#include "replay/baseline.h"

namespace tide::replay {
namespace {

Figure figure_of(const std::vector<double>& samples) {
  Figure figure;
  for (const double sample : samples) figure.add(sample);
  return figure;
}

TEST(Figures, Median) {
  EXPECT_EQ(figure_of({5}).median(), 5);
  EXPECT_EQ(figure_of({9, 1, 5}).median(), 5);
  EXPECT_EQ(figure_of({9, 1, 5, 7}).median(), 6);
  EXPECT_EQ(figure_of({9, 1, 5}).low(), 1);
  EXPECT_EQ(figure_of({9, 1, 5}).high(), 9);
}

// Of 20 samples the 6th and the 15th bound the median with 95 %, as in every table.
TEST(Figures, OrderStatistics) {
  std::vector<double> samples(20);
  std::iota(samples.begin(), samples.end(), 1);
  EXPECT_EQ(figure_of(samples).low(), 6);
  EXPECT_EQ(figure_of(samples).high(), 15);
}

// Values of published tables of U.
TEST(Figures, RankTestIsExact) {
  EXPECT_NEAR(rank_test({1, 2, 3}, {4, 5, 6}), 0.1, 1e-12);
  EXPECT_NEAR(rank_test({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}), 2.0 / 252, 1e-12);
  EXPECT_NEAR(rank_test({1, 3, 5}, {2, 4, 6}), 0.7, 1e-12);
  EXPECT_NEAR(least_of_rank_test(5, 5), 2.0 / 252, 1e-12);
  EXPECT_EQ(rank_test({}, {1}), 1);
  EXPECT_EQ(rank_test({7, 7, 7}, {7, 7, 7}), 1);
}

// Under one distribution the test says "different" as seldom as it claims.
TEST(Figures, RankTestKeepsItsWord) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  constexpr int kTrials = 4000;
  int different = 0;
  for (int i = 0; i < kTrials; ++i) {
    std::vector<double> a(8);
    std::vector<double> b(9);
    for (double& x : a) x = normal(random);
    for (double& x : b) x = normal(random);
    different += rank_test(a, b) <= 0.05 ? 1 : 0;
  }
  EXPECT_LT(different, kTrials * 6 / 100);
  EXPECT_GT(different, kTrials * 3 / 100);
}

TEST(Baseline, Conditions) {
  const Condition condition = Condition::parse("rss>+3%");
  EXPECT_EQ(condition.figure, FigureId::kRssMax);
  EXPECT_TRUE(condition.grows);
  EXPECT_DOUBLE_EQ(condition.share, 0.03);
  EXPECT_FALSE(Condition::parse("rate<-5%").grows);
  for (const char* bad : {"rss", "rss>3", "rss>x%", "size>+3%", "rss>-3%", "rate<5%", ">1%"}) {
    EXPECT_THROW(Condition::parse(bad), host::Error) << bad;
  }
}

TEST(Baseline, Verdicts) {
  const Condition condition = Condition::parse("p99>+10%");
  const std::vector<double> before = {100, 101, 99, 102, 98};
  EXPECT_EQ(compare(condition, before, {103, 97, 100.5, 99.5, 101.5}).verdict,
            Verdict::kNoDifference);
  EXPECT_EQ(compare(condition, before, {105, 106, 104, 105.5, 104.5}).verdict, Verdict::kWithin);
  EXPECT_EQ(compare(condition, before, {115, 116, 114, 115.5, 114.5}).verdict, Verdict::kFails);
  EXPECT_EQ(compare(condition, before, {85, 86, 84, 85.5, 84.5}).verdict, Verdict::kWithin);
  EXPECT_EQ(compare(condition, before, {}).verdict, Verdict::kNotMeasured);
  // The median has grown by much, but so that nobody can tell.
  EXPECT_EQ(compare(condition, {90, 100, 200}, {95, 150, 140}).verdict, Verdict::kNoDifference);
}

}  // namespace
}  // namespace tide::replay
