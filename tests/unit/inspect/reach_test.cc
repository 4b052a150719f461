// What is reached, heads of what is not, and shortest ways, on random graphs compared with what
// follows from the definition.
#include "inspect/reach.h"

#include <gtest/gtest.h>

#include <random>

namespace tide::tests {

namespace {

using inspect::BlockSet;
using inspect::ReferenceGraph;
using Lists = std::vector<std::vector<uint32_t>>;

Lists random_graph(std::mt19937& random, uint32_t count, uint32_t references) {
  Lists out(count);
  for (uint32_t i = 0; i < references; ++i) out[random() % count].push_back(random() % count);
  return out;
}

// By block: how many steps from `from`; -1: nothing leads there.
std::vector<int> distances(const Lists& out, const std::vector<uint32_t>& from) {
  std::vector<int> steps(out.size(), -1);
  std::vector<uint32_t> now = from;
  for (const uint32_t block : from) steps[block] = 0;
  for (int step = 1; !now.empty(); ++step) {
    std::vector<uint32_t> next;
    for (const uint32_t block : now) {
      for (const uint32_t to : out[block]) {
        if (steps[to] >= 0) continue;
        steps[to] = step;
        next.push_back(to);
      }
    }
    now = next;
  }
  return steps;
}

TEST(Reach, FindsWhatIsReachedHeadsAndShortestWays) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const uint32_t count = 2 + random() % 60;
    const Lists out = random_graph(random, count, random() % (2 * count));
    const std::vector<uint32_t> from = {static_cast<uint32_t>(random() % count),
                                        static_cast<uint32_t>(random() % count)};
    const ReferenceGraph graph(out);
    const std::vector<int> steps = distances(out, from);
    BlockSet reached(count);
    reach(graph, from, reached);
    for (uint32_t block = 0; block < count; ++block) {
      ASSERT_EQ(reached.contains(block), steps[block] >= 0) << block;
      const std::vector<uint32_t> path = shortest_path(graph, from, block);
      ASSERT_EQ(static_cast<int>(path.size()), steps[block] + 1) << block;
      for (size_t i = 1; i < path.size(); ++i) {
        const auto& next = out[path[i - 1]];
        ASSERT_NE(std::find(next.begin(), next.end(), path[i]), next.end());
      }
    }

    // All are reached from the heads, and none of them from the others: there are no fewer. Of a
    // cycle it is the lowest: what leads to a head is reached from it, and lies behind it.
    const std::vector<uint32_t> heads = find_heads(graph, reached);
    ASSERT_TRUE(std::is_sorted(heads.begin(), heads.end()));
    const std::vector<int> from_heads = distances(out, heads);
    for (uint32_t block = 0; block < count; ++block) {
      if (steps[block] >= 0) continue;
      ASSERT_GE(from_heads[block], 0) << block;
      const std::vector<int> from_block = distances(out, {block});
      for (const uint32_t head : heads) {
        if (head == block || from_block[head] < 0) continue;
        ASSERT_LT(head, block);
        ASSERT_GE(distances(out, {head})[block], 0);
      }
    }
  }
}

TEST(Reach, ALongChainNeedsNoStack) {
  constexpr uint32_t kCount = 1'000'000;
  Lists out(kCount);
  for (uint32_t i = 0; i + 1 < kCount; ++i) out[i] = {i + 1};
  const ReferenceGraph graph(out);
  BlockSet reached(kCount);
  const uint32_t middle = kCount / 2;
  reach(graph, {&middle, 1}, reached);
  EXPECT_TRUE(reached.contains(kCount - 1));
  EXPECT_EQ(find_heads(graph, reached), std::vector<uint32_t>{0});
  EXPECT_EQ(shortest_path(graph, {&middle, 1}, kCount - 1).size(), kCount - middle);
}

}  // namespace

}  // namespace tide::tests
