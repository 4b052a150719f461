#include "heap/span_lists.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

namespace tide::heap {
namespace {

class SpanListsTest : public testing::Test {
 protected:
  SpanListsTest() : entries(kPages) { lists.start(entries.data()); }

  void insert(uint32_t page, uint32_t pages) {
    entries[page].pages = pages;
    lists.insert(page);
  }

  static constexpr uint32_t kPages = 10'000;
  std::vector<layout::SpanEntry> entries;
  SpanLists lists;
};

TEST_F(SpanListsTest, EmptyFindsNothing) {
  for (uint32_t pages = 1; pages < 100'000; pages += pages / 8 + 1) {
    EXPECT_EQ(lists.find(pages), layout::kNoPage);
  }
  EXPECT_EQ(lists.any_long(), layout::kNoPage);
}

TEST_F(SpanListsTest, EveryLengthIsFoundByItselfAndByShorterOnes) {
  uint32_t page = 0;
  for (uint32_t pages = 1; pages < 3'000'000; pages += pages / 16 + 1) {
    insert(page, pages);
    for (uint32_t wanted : {pages, pages - pages / 3, 1u}) {
      EXPECT_EQ(lists.find(wanted), page) << wanted << " of " << pages;
    }
    EXPECT_EQ(lists.any_long(), page);
    EXPECT_EQ(lists.pages(), pages);
    lists.remove(page);
    EXPECT_EQ(lists.find(1), layout::kNoPage);
    ++page;
  }
}

TEST_F(SpanListsTest, NeverFindsOneThatIsTooShort) {
  std::mt19937 random(3);
  std::map<uint32_t, uint32_t> held;
  for (int step = 0; step < 30'000; ++step) {
    const uint32_t page = random() % kPages;
    if (held.count(page) == 0) {
      const uint32_t pages = 1 + (random() >> (random() % 30));
      insert(page, pages);
      held[page] = pages;
    } else {
      lists.remove(page);
      held.erase(page);
    }
    const uint32_t wanted = 1 + (random() >> (random() % 32));
    const uint32_t found = lists.find(wanted);
    if (found != layout::kNoPage) {
      ASSERT_EQ(held.count(found), 1u);
      ASSERT_GE(held[found], wanted);
    }
  }
  uint64_t pages = 0;
  for (const auto& [page, length] : held) pages += length;
  EXPECT_EQ(lists.pages(), pages);
}

TEST_F(SpanListsTest, PrefersTheTighterFit) {
  insert(1, 1000);
  insert(2, 105);
  insert(3, 100);
  insert(4, 5000);
  EXPECT_EQ(lists.find(100), 3u);
  EXPECT_EQ(lists.find(101), 2u);
  EXPECT_EQ(lists.find(600), 1u);
  EXPECT_EQ(lists.find(1001), 4u);
}

TEST_F(SpanListsTest, WalksInPiecesWhileSpansComeAndGo) {
  std::mt19937 random(20261122);
  for (uint32_t page = 0; page < 1000; ++page) insert(page, 1 + random() % 4000);
  std::vector<bool> seen(1000), gone(1000);
  int pieces = 0;
  lists.start_walk();
  while (!lists.is_walked()) {
    int looks = 0;
    const uint32_t found = lists.walk_long(500, 7, [&](uint32_t page) {
      EXPECT_FALSE(seen[page] || gone[page]);
      EXPECT_GE(entries[page].pages + 64, 500u);
      seen[page] = true;
      ++looks;
      return page % 50 == 0;
    });
    EXPECT_LE(looks, 7);
    EXPECT_TRUE(found == layout::kNoPage || found % 50 == 0);
    ++pieces;
    for (int i = 0; i < 3; ++i) {
      const uint32_t page = random() % 1000;
      if (gone[page]) continue;
      lists.remove(page);
      gone[page] = true;
    }
  }
  EXPECT_GT(pieces, 40);
  for (uint32_t page = 0; page < 1000; ++page) {
    EXPECT_TRUE(seen[page] || gone[page] || entries[page].pages < 500) << page;
  }
}

}  // namespace
}  // namespace tide::heap
