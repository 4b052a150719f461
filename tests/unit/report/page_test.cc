#include "report/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "host/error.h"
#include "report/downsample.h"

namespace tide::report {
namespace {

TEST(Page, NothingEndsTheScriptElement) {
  Section section;
  section.title = "</script><b>&";
  const std::string data = page_data({"t", "", ""}, {section});
  const std::string escaped = script_escaped(data);
  EXPECT_EQ(escaped.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(Json::parse(escaped)["sections"][0]["title"], "</script><b>&");
}

TEST(Page, BytesThatAreNoUtf8AreReplaced) {
  Section section;
  section.title = "a\xff";
  EXPECT_NO_THROW(Json::parse(page_data({"t", "", ""}, {section})));
}

TEST(Page, TitleIsText) {
  const std::string html = page_html({"<i>\"&", "", ""}, "{}");
  EXPECT_NE(html.find("<title>&lt;i&gt;&quot;&amp;</title>"), std::string::npos);
  EXPECT_EQ(html.find("{{"), std::string::npos);
}

TEST(Page, TooLargeIsAnError) {
  EXPECT_THROW(page_html({"t", "", ""}, std::string(kMostPageBytes, 'x')), host::Error);
}

TEST(Page, IdsArePlain) {
  EXPECT_EQ(id_of("malloc of 1 B to 64 B"), "malloc-of-1-b-to-64-b");
  EXPECT_EQ(id_of("\xc3\xa4?"), "x");
}

TEST(Thinned, KeepsPeaksValleysAndEnds) {
  Points points;
  for (int i = 0; i < 100'000; ++i) points.emplace_back(i, i % 100);
  points[54'321].second = 7'000;
  points[12'345].second = -7'000;
  const Points few = thinned(points, 2000);
  EXPECT_LE(few.size(), 2000u);
  EXPECT_GT(few.size(), 1000u);
  EXPECT_EQ(few.front(), points.front());
  EXPECT_EQ(few.back(), points.back());
  const auto has = [&](size_t at) {
    return std::find(few.begin(), few.end(), points[at]) != few.end();
  };
  EXPECT_TRUE(has(54'321));
  EXPECT_TRUE(has(12'345));
  EXPECT_TRUE(std::is_sorted(few.begin(), few.end()));
}

TEST(Thinned, FewAreLeftAsTheyAreAndOneMomentIsNoTrouble) {
  const Points few = {{1, 2}, {3, 4}};
  EXPECT_EQ(thinned(few, 2000), few);
  EXPECT_LE(thinned(Points(5000, {7, 7}), 2000).size(), 4u);
}

TEST(Rounded, FourFigures) {
  EXPECT_EQ(rounded(123'456), 123'500);
  EXPECT_EQ(rounded(0), 0);
  EXPECT_DOUBLE_EQ(rounded(-0.00123456), -0.001235);
}

}  // namespace
}  // namespace tide::report
