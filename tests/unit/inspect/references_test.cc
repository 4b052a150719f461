// References between blocks of made-up memory.
#include "inspect/references.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "inspect/reference_graph.h"
#include "tests/unit/inspect/made_up_heap.h"

namespace tide::tests {

namespace {

using inspect::BlockIndex;
using inspect::ReferenceGraph;

constexpr uint64_t kHeap = 0x7f0000000000;
constexpr uint64_t kBytes = 4 << 20;

// Random blocks, and words in and between them that point all over them.
struct RandomHeap {
  explicit RandomHeap(uint32_t seed, uint64_t largest = 400) : random(seed) {
    target.add(kHeap, kBytes);
    for (uint64_t at = 0; at + largest + 16 < kBytes;) {
      const uint64_t bytes = 1 + random() % largest;
      blocks.push_back({kHeap + at, bytes, 0});
      at += ((bytes + 15) & ~uint64_t{15}) + 16 * (random() % 4);
    }
    for (uint64_t at = 0; at < kBytes; at += 8 * (1 + random() % 8)) {
      target.put(kHeap + at, random() % 2 ? kHeap + random() % kBytes
                                          : blocks[random() % blocks.size()].address);
    }
  }
  // By definition: every aligned word of every block against every block, the words' order kept.
  void count_references(const BlockIndex& index) {
    for (uint32_t from = 0; from < blocks.size(); ++from) {
      for (uint64_t at = 0; at + 8 <= blocks[from].bytes; at += 8) {
        const uint64_t word = *target.load<uint64_t>(blocks[from].address + at);
        const uint32_t to = index.find(word);
        if (to != BlockIndex::kNone) references[from].push_back({at, to});
      }
    }
  }

  std::mt19937 random;
  MadeUpTarget target;
  std::vector<walk::Block> blocks;
  std::map<uint32_t, std::vector<std::pair<uint64_t, uint32_t>>> references;
};

TEST(References, TheGraphHasAllOfThemOnce) {
  for (const uint32_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(seed);
    RandomHeap heap(seed, seed == 3 ? 20 : 400);
    const BlockIndex index(one_heap({{kHeap, kHeap + kBytes}}, heap.blocks));
    heap.count_references(index);
    if (seed == 2) heap.target.set_most_bytes(1000 + 4);  // views that end within a word
    const ReferenceGraph graph(heap.target, index);
    ASSERT_EQ(graph.count(), heap.blocks.size());
    EXPECT_EQ(graph.missing_bytes(), 0u);
    uint64_t all = 0;
    for (uint32_t from = 0; from < graph.count(); ++from) {
      std::vector<uint32_t> expected;
      for (const auto& [offset, to] : heap.references[from]) {
        if (to == from || (!expected.empty() && expected.back() == to)) continue;
        expected.push_back(to);
      }
      const auto out = graph.out(from);
      ASSERT_EQ(std::vector<uint32_t>(out.begin(), out.end()), expected) << from;
      all += expected.size();
    }
    EXPECT_EQ(graph.references(), all);
    EXPECT_GT(all, 10'000u);
  }
}

TEST(References, ToAndFromABlockAreTold) {
  RandomHeap heap(4);
  const BlockIndex index(one_heap({{kHeap, kHeap + kBytes}}, heap.blocks));
  heap.count_references(index);
  for (const uint32_t block : {0u, 100u, index.count() - 1}) {
    SCOPED_TRACE(block);
    const walk::Range range{index.address_of(block),
                            index.address_of(block) + index.bytes_of(block)};
    const auto in = references_to(heap.target, index, range, SIZE_MAX);
    size_t next = 0;
    for (const auto& [from, words] : heap.references) {
      for (const auto& [offset, to] : words) {
        if (to != block) continue;
        ASSERT_LT(next, in.first.size());
        EXPECT_EQ(in.first[next].block, from);
        EXPECT_EQ(in.first[next].offset, offset);
        EXPECT_LT(in.first[next].into, index.bytes_of(block));
        ++next;
      }
    }
    EXPECT_EQ(next, in.first.size());
    EXPECT_EQ(in.count, next);
    const auto out = references_from(heap.target, index, range, SIZE_MAX);
    ASSERT_EQ(out.first.size(), heap.references[block].size());
    for (size_t i = 0; i < out.first.size(); ++i) {
      EXPECT_EQ(out.first[i].offset, heap.references[block][i].first);
      EXPECT_EQ(out.first[i].block, heap.references[block][i].second);
    }
    const auto few = references_to(heap.target, index, range, 1);
    EXPECT_EQ(few.count, in.count);
    ASSERT_EQ(few.first.size(), std::min<size_t>(1, in.first.size()));
  }
}

TEST(References, WhatIsCutOffIsCounted) {
  RandomHeap heap(5);
  const BlockIndex index(one_heap({{kHeap, kHeap + kBytes}}, heap.blocks));
  const uint32_t middle = index.count() / 2;
  heap.target.cut(index.address_of(middle));
  uint64_t lost = 0;
  for (uint32_t block = middle; block < index.count(); ++block) {
    lost += index.bytes_of(block) & ~uint64_t{7};
  }
  const ReferenceGraph graph(heap.target, index);
  EXPECT_GE(graph.missing_bytes(), lost);
  EXPECT_LE(graph.missing_bytes(), lost + 8 * (index.count() - middle));
  EXPECT_EQ(graph.out(index.count() - 1).size(), 0u);
}

TEST(References, PagesThatWereNeverTouchedAreNotRead) {
  constexpr uint64_t kMiB = 1 << 20;
  MadeUpTarget target;
  target.add(kHeap, 8 * kMiB);
  target.leave_untouched({kHeap + kMiB, kHeap + 6 * kMiB});
  target.put(kHeap + 16, kHeap);
  target.put(kHeap + 7 * kMiB, kHeap + 5);
  const BlockIndex index(
      one_heap({{kHeap, kHeap + 8 * kMiB}}, {{kHeap, 16, 0}, {kHeap + 16, 8 * kMiB - 16, 0}}));
  const ReferenceGraph graph(target, index);
  EXPECT_EQ(graph.references(), 1u) << "one after the other to the same block";
  EXPECT_EQ(graph.missing_bytes(), 0u) << "zeros are not missing";
  const auto found = references_to(target, index, {kHeap, kHeap + 16}, 10);
  ASSERT_EQ(found.count, 2u);
  EXPECT_EQ(found.first[1].offset, 7 * kMiB - 16);
}

}  // namespace

}  // namespace tide::tests
