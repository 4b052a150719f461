// Where the system makes huge pages by itself, holes of a few KiB do not break one that is mostly
// in use, unless somebody asks for it.
#include <gtest/gtest.h>
#include <vector>

#include "heap/huge_pages.h"
#include "tests/unit/engine_client.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

class EngineHugePages : public testing::Test {
 protected:
  static constexpr size_t kBlock = 4096;
  // The blocks end on a huge page of which more than half was never used.
  static constexpr size_t kTail = kMiB / 2;

  EngineHugePages() {
    box.engine->config().keep_huge_pages = true;
    box.os.set_hook([this](const FakeOs::Event& event) {
      if (event.call == VmCall::kPurge) purged_bytes += event.bytes;
    });
    for (size_t i = 0; i < 16 * kMiB / kBlock; ++i) {
      blocks.push_back(box.client.allocate(kBlock));
      memset(blocks.back(), 1, kBlock);
    }
  }

  void SetUp() override {
    if (!sys::fence_all_threads()) GTEST_SKIP() << "no barrier for all threads here";
  }

  // Frees the blocks of which `is_dead(number)` is true.
  template <class IsDead>
  void release(IsDead is_dead) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i] == nullptr || !is_dead(i)) continue;
      ASSERT_EQ(box.client.release(blocks[i]), heap::Released::kDone);
      blocks[i] = nullptr;
    }
  }

  void rest() {
    int looks = 0;
    while (box.engine->look()) ASSERT_LT(++looks, 1000) << "does not come to an end";
  }

  StartedBox box;
  std::vector<void*> blocks;
  size_t purged_bytes = 0;
};

TEST_F(EngineHugePages, SmallHolesStayUntilHalfIsFree) {
  release([](size_t i) { return i % 4 == 0; });
  rest();
  EXPECT_LE(purged_bytes, kTail);
  release([](size_t i) { return i % 4 < 3; });
  rest();
  EXPECT_GE(purged_bytes, 10 * kMiB) << "by now most is free";
  box.engine->verify();
}

TEST_F(EngineHugePages, ASparsePartGoesTheRestStays) {
  const size_t half = blocks.size() / 2;
  release([half](size_t i) { return i < half ? i % 8 != 0 : i % 8 == 0; });
  rest();
  EXPECT_GE(purged_bytes, 5 * kMiB);
  EXPECT_LE(purged_bytes, 7 * kMiB + kTail);
}

TEST_F(EngineHugePages, WhatIsFreeAsAWholeGoes) {
  // Runs of 1 MiB: slabs that are empty, on huge pages of which half is in use.
  constexpr size_t kRun = kMiB / kBlock;
  release([](size_t i) { return i / kRun % 2 == 0; });
  void* const span = box.client.allocate(300'000);
  void* const behind = box.client.allocate(300'000);
  memset(span, 1, 300'000);
  box.client.release(span);
  rest();
  EXPECT_GE(purged_bytes, 7 * kMiB);
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_LE(stats.free_dirty_bytes, 2 * kMiB);
  box.client.release(behind);
}

TEST_F(EngineHugePages, WhoAsksGetsAll) {
  release([](size_t i) { return i % 4 == 0; });
  EXPECT_GE(box.client.purge(), 3 * kMiB);
}

TEST_F(EngineHugePages, LimitsComeFirst) {
  release([](size_t i) { return i % 4 == 0; });
  rest();
  ASSERT_LE(purged_bytes, kTail);
  box.engine->limits().set(8 * kMiB, 0);
  box.engine->enforce_limits(box.client.cache());
  EXPECT_GE(purged_bytes, 3 * kMiB);
}

TEST_F(EngineHugePages, WithoutThemAllHolesGo) {
  box.engine->config().keep_huge_pages = false;
  release([](size_t i) { return i % 4 == 0; });
  rest();
  EXPECT_GE(purged_bytes, 3 * kMiB);
}

// Blocks of `bytes` until `total` are live, untouched. Returns where huge pages were asked for.
std::vector<uintptr_t> huge_pages_of_growth(size_t huge_growth, size_t bytes, size_t total,
                                            size_t soft_limit = 0) {
  heap::Config config = heap::Config::defaults();
  config.huge_growth_bytes = huge_growth;
  config.limit_soft_bytes = soft_limit;
  StartedBox box({}, config);
  for (size_t i = 0; i < total / bytes; ++i) EXPECT_NE(box.client.allocate(bytes), nullptr);
  return box.os.populated_huge();
}

TEST(HugeGrowth, BeginsAtItsThresholdAndTakesEachHugePageOnce) {
  const std::vector<uintptr_t> pages = huge_pages_of_growth(8 * kMiB, 512, 20 * kMiB);
  ASSERT_EQ(pages.size(), 7u);  // 12 MiB, and what slabs have no room for at their ends
  for (size_t i = 1; i < pages.size(); ++i) EXPECT_EQ(pages[i], pages[i - 1] + 2 * kMiB);
}

TEST(HugeGrowth, OfManySizesWastesNoHugePage) {
  heap::Config config = heap::Config::defaults();
  config.huge_growth_bytes = 2 * kMiB;
  StartedBox box({}, config);
  for (size_t i = 0; i < 40000; ++i) box.client.allocate(16 + i % 64 * 16);
  EXPECT_GE(box.os.populated_huge().size(), 8u);
  box.engine->verify();
}

TEST(HugeGrowth, MidBlocksBeginMuchLater) {
  EXPECT_TRUE(huge_pages_of_growth(kMiB, 4096, 15 * kMiB).empty());
  EXPECT_EQ(huge_pages_of_growth(kMiB, 4096, 20 * kMiB).size(), 3u);
}

TEST(HugeGrowth, NotWithoutTheOptionNorWhereMemoryIsShort) {
  EXPECT_TRUE(huge_pages_of_growth(0, 512, 20 * kMiB).empty());
  EXPECT_TRUE(huge_pages_of_growth(2 * kMiB, 512, 20 * kMiB, kMiB).empty());
}

}  // namespace
}  // namespace tide::tests
