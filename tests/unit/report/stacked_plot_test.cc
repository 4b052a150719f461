#include "report/stacked_plot.h"

#include <gtest/gtest.h>

#include "report/profile_course.h"

namespace tide::report {
namespace {

uint32_t stack(FlameTree& tree, std::initializer_list<const char*> names) {
  uint32_t node = FlameTree::kRoot;
  for (const char* const name : names) node = tree.child(node, tree.name(name));
  return node;
}

TEST(StackCourse, TakesThePeakAndTheEndAsTheyWere) {
  StackCourse course;
  trace::Peak peak;
  constexpr uint64_t kBlocks = 50'000;
  uint64_t now = 1000;
  for (uint64_t i = 0; i < kBlocks; ++i, now += 7'000) {
    course.reach(now, peak);
    peak.came(now, 10, 1 + i % 3);
  }
  const uint64_t peak_ns = peak.time_ns();
  for (uint64_t i = 0; i < kBlocks / 2; ++i, now += 7'000) {
    course.reach(now, peak);
    peak.gone(10, 1 + i % 3);
  }
  course.finish(now, peak);
  const auto& pictures = course.pictures();
  EXPECT_LE(pictures.size(), StackCourse::kMostPictures + 2);
  EXPECT_GE(pictures.size(), StackCourse::kMostPictures / 3);
  bool has_peak = false;
  for (size_t i = 0; i < pictures.size(); ++i) {
    uint64_t sum = 0;
    for (const auto& [stack, bytes] : pictures[i].stacks) sum += bytes;
    EXPECT_EQ(sum, pictures[i].total);
    if (i > 0) {
      EXPECT_GT(pictures[i].time_ns, pictures[i - 1].time_ns);
    }
    if (pictures[i].time_ns == peak_ns) {
      has_peak = true;
      EXPECT_EQ(pictures[i].total, kBlocks * 10);
    }
  }
  EXPECT_TRUE(has_peak);
  EXPECT_EQ(pictures.back().total, kBlocks * 10 / 2);
}

TEST(StackCourse, APauseIsFlat) {
  StackCourse course;
  trace::Peak peak;
  course.reach(0, peak);
  peak.came(0, 100, 1);
  course.reach(1'000'000, peak);
  peak.gone(100, 1);
  course.finish(1'000'001, peak);
  const auto& pictures = course.pictures();
  ASSERT_GE(pictures.size(), 3u);
  EXPECT_EQ(pictures[pictures.size() - 2].time_ns, 1'000'000u);
  EXPECT_EQ(pictures[pictures.size() - 2].total, 100u);
  EXPECT_EQ(pictures.back().total, 0u);
}

TEST(StackLayers, AddUpToTheWhole) {
  FlameTree tree(std::vector<FlameView>{{"live", "bytes"}});
  const uint32_t parse = stack(tree, {"_start", "main", "parse"});
  const uint32_t load = stack(tree, {"_start", "main", "load"});
  const uint32_t main = stack(tree, {"_start", "main"});
  const std::vector<StackPicture> pictures = {{0, 100, {{parse, 100}}},
                                              {10, 350, {{parse, 100}, {load, 200}, {main, 50}}}};
  const auto layers = stack_layers(pictures, tree, 9);
  ASSERT_EQ(layers.size(), 3u);
  for (size_t at = 0; at < 2; ++at) {
    double sum = 0;
    for (const StackLayer& layer : layers) sum += layer.bytes[at];
    EXPECT_EQ(sum, pictures[at].total);
  }
  EXPECT_EQ(layers[0].name, "load ← main");
  EXPECT_EQ(layers[1].name, "parse ← main");
  EXPECT_EQ(layers[2].name, "main");
}

// Many small ones that would leave most of it to "all others" stay together under their caller.
TEST(StackLayers, SmallOnesStayUnderTheirCaller) {
  FlameTree tree(std::vector<FlameView>{{"live", "bytes"}});
  StackPicture picture = {5, 0, {}};
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "f" + std::to_string(i);
    picture.stacks.emplace_back(stack(tree, {"main", "run", name.c_str()}), 10);
    picture.total += 10;
  }
  const auto layers = stack_layers({picture, picture}, tree, 9);
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_TRUE(layers[0].is_whole);
  EXPECT_EQ(layers[0].name, "under run ← main");
  EXPECT_EQ(layers[0].bytes[1], 10'000);
}

TEST(StackLayers, NamesAreTheProgramsOwnAndDifferent) {
  FlameTree tree(std::vector<FlameView>{{"live", "bytes"}});
  const uint32_t one =
      stack(tree, {"main", "fill(int, char)", "std::vector<int, std::a<int> >::f(int)"});
  const uint32_t two = stack(tree, {"main", "fill(int, char)", "operator new(unsigned long)"});
  const auto layers =
      stack_layers({{0, 30, {{one, 20}, {two, 10}}}, {1, 30, {{one, 20}, {two, 10}}}}, tree, 9);
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].name, "fill ← main");
  EXPECT_EQ(layers[1].name, "operator new(unsigned long) ← fill ← main");
}

Profile profile_at(uint64_t time_ns, double leak) {
  Profile profile{FlameTree(std::vector<FlameView>{{"inuse space", "bytes"}})};
  profile.time_ns = time_ns;
  profile.tree.add(stack(profile.tree, {"main", "leak"}), 0, leak);
  profile.tree.add(stack(profile.tree, {"main", "cache"}), 0, 1000);
  profile.tree.sum_up();
  return profile;
}

TEST(ProfileCourse, IsInTheOrderOfTime) {
  const Profile first = profile_at(1'000'000'000, 100);
  const Profile second = profile_at(3'000'000'000, 4000);
  const Section section = profile_course({{"b", &second}, {"a", &first}});
  ASSERT_EQ(section.items.size(), 2u);
  EXPECT_TRUE(section.items[0]["stacked"]);
  EXPECT_EQ(section.items[0]["series"][0]["name"], "leak ← main");
  EXPECT_EQ(section.items[0]["series"][0]["points"],
            Json::array({{0, 100}, {2'000'000'000, 4000}}));
  ASSERT_EQ(section.answer.size(), 1u);
  EXPECT_NE(section.answer[0].find("leak ← main grew most, by 3.8 KiB"), std::string::npos)
      << section.answer[0];
}

TEST(ProfileCourse, NeedsTimes) {
  const Profile same = profile_at(5, 1);
  EXPECT_TRUE(profile_course({{"a", &same}, {"b", &same}}).title.empty());
}

}  // namespace
}  // namespace tide::report
