// Numbers of blocks and the way back, compared with a search through a list of them.
#include "inspect/block_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/inspect/made_up_heap.h"

namespace tide::tests {

namespace {

using inspect::BlockIndex;
using walk::Block;

constexpr uint64_t kStart = 0x7f0000000000;

void expect_all_found(const BlockIndex& index, const std::vector<Block>& blocks) {
  ASSERT_EQ(index.count(), blocks.size());
  for (uint32_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    ASSERT_EQ(index.address_of(i), block.address);
    ASSERT_EQ(index.bytes_of(i), block.bytes);
    ASSERT_EQ(index.find_start(block.address), i);
    ASSERT_EQ(index.find(block.address), i);
    if (block.bytes == 0) continue;
    ASSERT_EQ(index.find(block.address + block.bytes / 2), i);
    ASSERT_EQ(index.find(block.address + block.bytes - 1), i);
    const uint64_t end = block.address + block.bytes;
    const bool is_next = i + 1 < blocks.size() && blocks[i + 1].address == end;
    ASSERT_EQ(index.find(end), is_next ? i + 1 : BlockIndex::kNone) << i;
    ASSERT_EQ(index.find_start(block.address + 8), BlockIndex::kNone);
    if (block.bytes > 16) {
      ASSERT_EQ(index.find_start(block.address + 16), BlockIndex::kNone);
    }
  }
}

TEST(BlockIndex, FindsEveryByteOfRandomBlocks) {
  for (const uint32_t seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Block> blocks;
    std::vector<walk::Range> ranges;
    uint64_t at = kStart;
    for (int region = 0; region < 4; ++region) {
      const uint64_t begin = at;
      for (int i = 0; i < 2000; ++i) {
        uint64_t bytes = 1 + random() % 100;
        if (random() % 20 == 0) bytes = 1 + random() % 20000;
        blocks.push_back({at, bytes, 0});
        at += (bytes + 15) & ~uint64_t{15};
        if (random() % 3 == 0) at += 16 * (random() % 8);
        if (random() % 300 == 0) at += 4096 * (random() % 8);
      }
      ranges.push_back({begin, at});
      at = ((at + 4095) & ~uint64_t{4095}) + 4096 * (region + 1);
    }
    // As they lie, region after region in another order, and all at random.
    std::vector<Block> shown = blocks;
    if (seed % 3 == 0) std::rotate(shown.begin(), shown.begin() + 4000, shown.end());
    if (seed % 3 == 1) std::shuffle(shown.begin(), shown.end(), random);
    const BlockIndex index(one_heap(ranges, shown));
    EXPECT_EQ(index.unknown().parts, 0u);
    EXPECT_EQ(index.lowest(), blocks.front().address);
    EXPECT_EQ(index.highest(), blocks.back().address + blocks.back().bytes - 1);
    expect_all_found(index, blocks);
    EXPECT_EQ(index.find(kStart - 1), BlockIndex::kNone);
    EXPECT_EQ(index.find(0), BlockIndex::kNone);
    EXPECT_EQ(index.find(UINT64_MAX), BlockIndex::kNone);

    const uint32_t begin = random() % index.count();
    const uint32_t end = begin + random() % (index.count() - begin);
    uint32_t next = begin;
    index.for_each(begin, end, [&](uint32_t number, uint64_t address, uint64_t bytes) {
      ASSERT_EQ(number, next++);
      ASSERT_EQ(address, blocks[number].address);
      ASSERT_EQ(bytes, blocks[number].bytes);
    });
    EXPECT_EQ(next, end);
  }
}

TEST(BlockIndex, LengthsBeyond31BitsAreExact) {
  const std::vector<Block> blocks = {{kStart + 16, (uint64_t{3} << 30) + 24, 0},
                                     {kStart + (uint64_t{4} << 30), 40, 0}};
  const std::vector<Block> turned = {blocks[1], blocks[0]};
  const BlockIndex index(one_heap({{kStart, kStart + (uint64_t{5} << 30)}}, blocks));
  expect_all_found(index, blocks);
  expect_all_found(BlockIndex(one_heap({{kStart, kStart + (uint64_t{5} << 30)}}, turned)), blocks);
  EXPECT_EQ(index.live_bytes(), (uint64_t{3} << 30) + 64);
}

TEST(BlockIndex, WithoutBlocksNothingIsFound) {
  const BlockIndex index(one_heap({{kStart, kStart + 4096}}, {}));
  EXPECT_EQ(index.count(), 0u);
  EXPECT_EQ(index.find(kStart), BlockIndex::kNone);
  EXPECT_GT(index.lowest(), index.highest());
  index.for_each(0, 1, [](uint32_t, uint64_t, uint64_t) { FAIL(); });
}

TEST(BlockIndex, WhatCanBeNoBlockIsLeftOutAndCounted) {
  const std::vector<Block> blocks = {
      {kStart, 32, 0},
      {kStart, 64, 0},                        // where another one is
      {kStart + 40, 16, 0},                   // not at a multiple of 16
      {kStart + 8192, 16, 0},                 // behind the heap
      {kStart + 64, UINT64_MAX - kStart, 0},  // longer than the heap
      {kStart + 128, UINT64_MAX - 4, 0},      // around the end of all addresses
      {kStart + 4096, 0, 0},                  // without a byte
  };
  const BlockIndex index(one_heap({{kStart, kStart + 8192}}, blocks));
  expect_all_found(index, {blocks[0], blocks[6]});
  EXPECT_EQ(index.unknown().parts, 5u);
  EXPECT_FALSE(index.unknown().reason.empty());
}

// Each claims all up to the heap's end: its own part is up to the next one.
TEST(BlockIndex, BlocksThatOverlapEndAtTheNextOne) {
  constexpr uint64_t kBytes = 4096 * 64;
  std::vector<Block> blocks;
  for (uint64_t at = 0; at < kBytes; at += 3 * 4096)
    blocks.push_back({kStart + at, kBytes - at, 0});
  const BlockIndex index(one_heap({{kStart, kStart + kBytes}}, blocks));
  for (uint64_t at = 0; at < kBytes; at += 512) {
    ASSERT_EQ(index.find(kStart + at), at / (3 * 4096)) << at;
  }
}

}  // namespace

}  // namespace tide::tests
