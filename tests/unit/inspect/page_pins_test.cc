#include "inspect/page_pins.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tide::inspect {
namespace {

constexpr uint64_t kSlab = 0x100000;
constexpr uint64_t kPage = 4096;

// A slab of four pages.
class PagePinsTest : public testing::Test {
 protected:
  walk::Span slab(uint64_t block_bytes, const std::vector<uint32_t>& live) {
    bits_.assign((4 * kPage / block_bytes + 63) / 64, 0);
    for (const uint32_t block : live) bits_[block / 64] |= uint64_t{1} << (block % 64);
    walk::Span span;
    span.range = {kSlab, kSlab + 4 * kPage};
    span.block_bytes = block_bytes;
    span.blocks = static_cast<uint32_t>(4 * kPage / block_bytes);
    span.live_blocks = static_cast<uint32_t>(live.size());
    span.live = bits_;
    return span;
  }
  static std::map<size_t, double> sums(const PagePins& pins) {
    std::map<size_t, double> sums;
    for (const PagePins::Pin& pin : pins.pins()) sums[pin.block] += pin.bytes;
    return sums;
  }

  std::vector<uint64_t> bits_;
};

TEST_F(PagePinsTest, ALoneBlockPinsTheRestOfItsPage) {
  PagePins pins({kSlab + 128});
  pins.add(slab(128, {1}));
  EXPECT_EQ(pins.total_bytes(), kPage - 128);
  ASSERT_EQ(pins.pins().size(), 1u);
  EXPECT_EQ(pins.pins()[0].page, kSlab);
  EXPECT_DOUBLE_EQ(pins.pins()[0].bytes, static_cast<double>(kPage - 128));
}

TEST_F(PagePinsTest, BlocksShareAPageByWhatTheyHaveOnIt) {
  // 1536 bytes: the third block is on the first page with 1024, on the second with 512.
  PagePins pins({kSlab, kSlab + 2 * 1536});
  pins.add(slab(1536, {0, 2}));
  const double first = kPage - 1536 - 1024;
  const auto sum = sums(pins);
  EXPECT_DOUBLE_EQ(sum.at(0), first * 1536 / (1536 + 1024));
  EXPECT_DOUBLE_EQ(sum.at(1), first * 1024 / (1536 + 1024) + (kPage - 512));
  EXPECT_DOUBLE_EQ(sum.at(0) + sum.at(1), static_cast<double>(pins.total_bytes()));
}

TEST_F(PagePinsTest, AllBlocksTogetherPinTheTotal) {
  std::vector<uint32_t> live;
  std::vector<uint64_t> blocks;
  for (uint32_t i = 0; i < 4 * kPage / 48; i = i * 5 / 4 + 1) {
    live.push_back(i);
    blocks.push_back(kSlab + i * 48);
  }
  PagePins pins(blocks);
  pins.add(slab(48, live));
  double sum = 0;
  for (const auto& [block, bytes] : sums(pins)) sum += bytes;
  EXPECT_NEAR(sum, static_cast<double>(pins.total_bytes()), 1e-6);
  EXPECT_GT(pins.total_bytes(), kPage);
}

TEST_F(PagePinsTest, AFullPageIsNotPinned) {
  std::vector<uint32_t> live;
  for (uint32_t i = 0; i < kPage / 64; ++i) live.push_back(i);
  PagePins pins({kSlab + 64});
  pins.add(slab(64, live));
  EXPECT_EQ(pins.total_bytes(), 0u);
  EXPECT_TRUE(pins.pins().empty());
}

TEST_F(PagePinsTest, WhatIsNotLiveOrElsewherePinsNothing) {
  PagePins pins({kSlab - 64, kSlab, kSlab + 128, kSlab + 4 * kPage});
  pins.add(slab(64, {2}));
  ASSERT_EQ(pins.pins().size(), 1u);
  EXPECT_EQ(pins.pins()[0].block, 2u);
  walk::Span own;  // a block with pages of its own
  own.range = {kSlab, kSlab + 4 * kPage};
  own.live_blocks = 1;
  pins.add(own);
  EXPECT_EQ(pins.pins().size(), 1u);
}

// The total against each byte looked at by itself.
TEST_F(PagePinsTest, BlocksOverPageBordersCountWhereTheyLie) {
  constexpr uint64_t kSeed = 9;
  std::mt19937_64 random(kSeed);
  for (const uint64_t bytes : {16, 48, 112, 320, 1280, 3072, 5120, 7168}) {
    for (const uint64_t one_in : {1, 2, 30}) {
      std::vector<uint32_t> live;
      std::vector<uint64_t> on_page(4);
      for (uint32_t block = 0; block < 4 * kPage / bytes; ++block) {
        if (random() % one_in != 0) continue;
        live.push_back(block);
        for (uint64_t at = block * bytes; at < (block + 1) * bytes; ++at) ++on_page[at / kPage];
      }
      uint64_t expected = 0;
      for (const uint64_t there : on_page) expected += there == 0 ? 0 : kPage - there;
      PagePins pins({});
      pins.add(slab(bytes, live));
      EXPECT_EQ(pins.total_bytes(), expected) << bytes << " bytes, one in " << one_in;
    }
  }
}

}  // namespace
}  // namespace tide::inspect
