#include "report/flame_tree.h"

#include <gtest/gtest.h>

#include "report/heat_map.h"
#include "report/latency_plots.h"
#include "report/replay_section.h"

namespace tide::report {
namespace {

uint32_t path(FlameTree& tree, std::initializer_list<const char*> names) {
  uint32_t node = FlameTree::kRoot;
  for (const char* const name : names) node = tree.child(node, tree.name(name));
  return node;
}

TEST(FlameTree, ValuesAreWithAllUnderThem) {
  FlameTree tree(std::vector<FlameView>{{"bytes", "bytes"}});
  tree.add(path(tree, {"main", "a"}), 0, 10);
  tree.add(path(tree, {"main", "b"}), 0, 5);
  tree.add(path(tree, {"main"}), 0, 1);
  tree.sum_up();
  EXPECT_EQ(tree.value(FlameTree::kRoot, 0), 16);
  EXPECT_EQ(tree.value(path(tree, {"main"}), 0), 16);
  EXPECT_EQ(tree.value(path(tree, {"main", "a"}), 0), 10);
}

TEST(FlameTree, WhatIsTooThinIsLeftOut) {
  FlameTree tree(std::vector<FlameView>{{"bytes", "bytes"}});
  tree.add(path(tree, {"wide"}), 0, 1e6);
  tree.add(path(tree, {"thin"}), 0, 1);
  tree.sum_up();
  const Json plot = tree.plot({"id", "", ""});
  EXPECT_EQ(plot["nodes"].size(), 2u);
  EXPECT_EQ(plot["nodes"][0], Json::array({-1, 0, 1'000'001}));
}

TEST(FlameTree, DifferenceHasTheStacksOfBoth) {
  FlameTree before(std::vector<FlameView>{{"bytes", "bytes"}});
  before.add(path(before, {"main", "gone"}), 0, 3);
  before.add(path(before, {"main", "kept"}), 0, 4);
  before.sum_up();
  FlameTree after(std::vector<FlameView>{{"other", "count"}, {"bytes", "bytes"}});
  after.add(path(after, {"main", "new"}), 1, 7);
  after.add(path(after, {"main", "kept"}), 1, 5);
  after.sum_up();
  FlameTree both = FlameTree::difference(before, 0, after, 1);
  const auto values = [&](std::initializer_list<const char*> names) {
    const uint32_t node = path(both, names);
    return std::pair(both.value(node, 0), both.value(node, 1));
  };
  EXPECT_EQ(values({"main"}), std::pair(7.0, 12.0));
  EXPECT_EQ(values({"main", "gone"}), std::pair(3.0, 0.0));
  EXPECT_EQ(values({"main", "new"}), std::pair(0.0, 7.0));
  EXPECT_EQ(values({"main", "kept"}), std::pair(4.0, 5.0));
}

TEST(HeatMap, CountsAllHoweverLongItTakes) {
  HeatMap map;
  trace::Histogram live;
  uint64_t made = 0;
  for (uint64_t time = 5; time < 50'000'000'000; time += time / 50 + 1) {
    map.reach(time, live);
    map.came(100);
    live.add(100);
    ++made;
  }
  map.finish(live);
  EXPECT_LE(map.columns().size(), HeatMap::kMostColumns);
  uint64_t counted = 0;
  for (const HeatMap::Column& column : map.columns()) {
    counted += column.allocations[trace::Histogram::bin_of(100)];
  }
  EXPECT_EQ(counted, made);
  EXPECT_EQ(map.columns().back().live_bytes[trace::Histogram::bin_of(100)], made * 100);
}

TEST(Latency, RankIsTheShareOfFasterCalls) {
  const Points points = latency_by_rank({{10, 90}, {100, 9}, {1000, 1}});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0], std::pair(1.0, 10.0));
  EXPECT_DOUBLE_EQ(points[1].first, 10);
  EXPECT_DOUBLE_EQ(points[2].first, 100);
}

ReplayRun run(const char* name, double ns, double bytes, const char* status = "ok") {
  return {name,
          name,
          "",
          status,
          {{"wall_ns", {{"median", ns}}}, {"rss_max_bytes", {{"median", bytes}}}}};
}

TEST(Pareto, FrontHasWhatNobodyBeatsInBoth) {
  const std::vector<ReplayRun> runs = {run("slow", 9, 1), run("beaten", 5, 5), run("fast", 1, 9),
                                       run("middle", 4, 4), run("dead", 0, 0, "crashed")};
  EXPECT_EQ(pareto_front(runs), (std::vector<size_t>{0, 2, 3}));
}

}  // namespace
}  // namespace tide::report
