// Dominators on random graphs, compared with their definition: a block dominates those that can't
// be reached without it.
#include "inspect/dominators.h"

#include <gtest/gtest.h>

#include <random>

#include "inspect/reach.h"
#include "inspect/retained.h"
#include "tests/unit/inspect/made_up_heap.h"

namespace tide::tests {

namespace {

using inspect::BlockSet;
using inspect::DepthFirst;
using inspect::ReferenceGraph;
using inspect::Retained;
using Lists = std::vector<std::vector<uint32_t>>;

constexpr uint64_t kFirstBlock = 0x7f0000000000;
constexpr uint64_t kStep = 256;

inspect::BlockIndex index_of(const std::vector<uint64_t>& sizes) {
  std::vector<walk::Block> blocks;
  for (size_t i = 0; i < sizes.size(); ++i)
    blocks.push_back({kFirstBlock + i * kStep, sizes[i], 0});
  return inspect::BlockIndex(one_heap({{kFirstBlock, kFirstBlock + sizes.size() * kStep}}, blocks));
}

inspect::ShowReferences show(const Lists& out) {
  return [&out](const auto& visit) {
    for (uint32_t from = 0; from < out.size(); ++from) {
      for (const uint32_t to : out[from]) visit(from, to);
    }
  };
}

std::vector<bool> reached_without(const Lists& out, const std::vector<uint32_t>& anchors,
                                  const std::vector<bool>& excluded, uint32_t left_out) {
  std::vector<bool> reached(out.size());
  std::vector<uint32_t> waiting;
  const auto enter = [&](uint32_t block) {
    if (reached[block] || block == left_out || excluded[block]) return;
    reached[block] = true;
    waiting.push_back(block);
  };
  for (const uint32_t anchor : anchors) enter(anchor);
  while (!waiting.empty()) {
    const uint32_t block = waiting.back();
    waiting.pop_back();
    for (const uint32_t to : out[block]) enter(to);
  }
  return reached;
}

// In what order references are shown must not matter.
TEST(Dominators, AreThoseWithoutWhichNothingLeadsThere) {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const uint32_t count = 2 + random() % 50;
    Lists out(count);
    const uint32_t references = random() % (3 * count);
    for (uint32_t i = 0; i < references; ++i) {
      const uint32_t from = random() % count;
      const uint32_t to = random() % 2 ? random() % count : std::min(count - 1, from + 1);
      if (from != to) out[from].push_back(to);
    }
    std::vector<uint32_t> anchors;
    for (uint32_t i = 0; i <= random() % 3; ++i) anchors.push_back(random() % count);
    std::vector<bool> is_excluded(count);
    BlockSet excluded(count);
    for (uint32_t i = 0; i < count / 16; ++i) {
      const uint32_t block = random() % count;
      is_excluded[block] = true;
      excluded.add(block);
    }
    std::vector<uint64_t> sizes;
    for (uint32_t i = 0; i < count; ++i) sizes.push_back(1 + random() % kStep);

    const inspect::BlockIndex index = index_of(sizes);
    Lists shuffled = out;
    for (auto& list : shuffled) std::shuffle(list.begin(), list.end(), random);
    const Retained retained(index, DepthFirst(ReferenceGraph(out), anchors, excluded), anchors,
                            show(shuffled));

    const std::vector<bool> reached = reached_without(out, anchors, is_excluded, UINT32_MAX);
    uint64_t all = 0;
    for (uint32_t block = 0; block < count; ++block) {
      ASSERT_EQ(retained.is_reached(block), reached[block]) << block;
      if (!reached[block]) continue;
      all += sizes[block];
      const std::vector<bool> left = reached_without(out, anchors, is_excluded, block);
      uint64_t bytes = 0;
      uint32_t blocks = 0;
      for (uint32_t other = 0; other < count; ++other) {
        if (!reached[other] || left[other]) continue;
        bytes += sizes[other];
        ++blocks;
      }
      ASSERT_EQ(retained.held_by(block).bytes, bytes) << block;
      ASSERT_EQ(retained.held_by(block).blocks, blocks) << block;
      const uint32_t dominator = retained.dominator_of(block);
      if (dominator != Retained::kNone) {
        ASSERT_FALSE(reached_without(out, anchors, is_excluded, dominator)[block]) << block;
      }
    }
    ASSERT_EQ(retained.all().bytes, all);
  }
}

TEST(Dominators, ALongChainWithReferencesBackNeedsNoStack) {
  constexpr uint32_t kCount = 300'000;
  Lists out(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    if (i + 1 < kCount) out[i].push_back(i + 1);
    if (i > 1) out[i].push_back(i / 2);
    if (i > 0) out[i].push_back(i - 1);
  }
  const uint32_t anchor = 0;
  const Retained retained(index_of(std::vector<uint64_t>(kCount, 16)),
                          DepthFirst(ReferenceGraph(out), {&anchor, 1}, BlockSet(kCount)),
                          {&anchor, 1}, show(out));
  EXPECT_EQ(retained.held_by(0).blocks, kCount);
  EXPECT_EQ(retained.held_by(kCount / 2).blocks, kCount - kCount / 2);
  EXPECT_EQ(retained.dominator_of(kCount - 1), kCount - 2);
  EXPECT_EQ(retained.largest(2), (std::vector<uint32_t>{0, 1}));
  uint32_t total = 0;
  EXPECT_EQ(retained.largest_children(7, 5, total), std::vector<uint32_t>{8});
  EXPECT_EQ(total, 1u);
}

// As of a process that goes on meanwhile: figures may be off, nothing else.
TEST(Dominators, OtherReferencesTheSecondTimeAreNoHarm) {
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr uint32_t kCount = 40;
    Lists first(kCount);
    Lists second(kCount);
    for (uint32_t i = 0; i < 120; ++i) {
      first[random() % kCount].push_back(random() % kCount);
      second[random() % kCount].push_back(random() % kCount);
    }
    const uint32_t anchor = 3;
    const Retained retained(index_of(std::vector<uint64_t>(kCount, 16)),
                            DepthFirst(ReferenceGraph(first), {&anchor, 1}, BlockSet(kCount)),
                            {&anchor, 1}, show(second));
    EXPECT_EQ(retained.held_by(3).blocks, retained.all().blocks);
  }
}

}  // namespace

}  // namespace tide::tests
