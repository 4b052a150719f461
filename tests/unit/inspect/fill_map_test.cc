#include "inspect/fill_map.h"

#include <gtest/gtest.h>

namespace tide::inspect {
namespace {

constexpr uint64_t kStart = 0x100000;

TEST(FillMap, CountsPagesThatMayBeResidentAndSuchAsAreNearlyEmpty) {
  // Four pages of blocks of 512 bytes: three on the first page, one on the third; the last was
  // never touched.
  const std::vector<uint64_t> live = {0b111 | uint64_t{1} << 16};
  walk::Span span;
  span.range = {kStart, kStart + 4 * kFillPage};
  span.block_bytes = 512;
  span.blocks = 32;
  span.live_blocks = 4;
  span.returned_bytes = kFillPage;
  span.live = live;
  FillSurvey survey(10);
  survey.add(span);
  const FragMap map = survey.take();
  ASSERT_EQ(map.rows.size(), 1u);
  EXPECT_EQ(map.rows[0].pages, 3u);
  EXPECT_EQ(map.rows[0].pinned_pages, 2u);
  EXPECT_EQ(map.rows[0].sparse_pages, 1u);
  EXPECT_EQ(map.rows[0].lonely_bytes, 512u);
  EXPECT_EQ(map.live_bytes, 4 * 512u);
  EXPECT_EQ(map.page_bytes, 2 * kFillPage);
  ASSERT_EQ(map.last.size(), 1u);
  EXPECT_EQ(map.last[0].address, kStart + 2 * kFillPage);
}

// As glibc's arenas are: what is live of them, and not all that they span.
TEST(FillMap, TellsASpanOfManySizesFromOneBlock) {
  const std::vector<walk::PageFill> pages = {
      {4000, 10, kStart, 100}, {}, {80, 1, kStart + 8192, 80}};
  walk::Span arena;
  arena.range = {kStart, kStart + 3 * kFillPage};
  arena.blocks = arena.live_blocks = 11;
  arena.pages = pages;
  walk::Span mapping;
  mapping.range = {2 * kStart, 2 * kStart + 5 * kFillPage};
  mapping.blocks = mapping.live_blocks = 1;
  FillSurvey survey(10);
  survey.add(arena);
  survey.add(mapping);
  const FragMap map = survey.take();
  ASSERT_EQ(map.rows.size(), 2u);
  EXPECT_TRUE(map.rows[0].is_mixed);
  EXPECT_EQ(map.rows[0].live_bytes, 4080u);
  EXPECT_EQ(map.rows[0].pages, 3u);
  EXPECT_EQ(map.rows[0].pinned_pages, 2u);
  EXPECT_EQ(map.rows[0].sparse_pages, 1u);
  EXPECT_FALSE(map.rows[1].is_mixed);
  EXPECT_EQ(map.rows[1].live_bytes, 5 * kFillPage);
  EXPECT_EQ(map.live_bytes, 4080 + 5 * kFillPage);
  ASSERT_EQ(map.last.size(), 1u);
  EXPECT_EQ(map.last[0].bytes, 80u);
}

}  // namespace
}  // namespace tide::inspect
