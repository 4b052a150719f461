// The engine on systems with larger pages than ours.
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

class PageSizes : public testing::TestWithParam<size_t> {
 protected:
  PageSizes() : box({.page_bytes = GetParam()}) {}

  StartedBox box;
};

INSTANTIATE_TEST_SUITE_P(Sizes, PageSizes, testing::Values(4096, 16384, 65536));

TEST_P(PageSizes, MixedUseWithPurges) {
  ASSERT_TRUE(box.started);
  std::mt19937 random(7);
  std::map<unsigned char*, std::pair<size_t, unsigned char>> live;
  for (int step = 0; step < 6000; ++step) {
    if (live.size() < 400 || random() % 2 == 0) {
      const unsigned kind = random() % 100;
      const size_t bytes = kind == 0   ? 34'000'000
                           : kind < 20 ? 65'537 + random() % 300'000
                                       : random() % (kind < 60 ? 500 : 20'000);
      const size_t alignment = size_t{1} << (random() % 10 == 0 ? random() % 20 : 0);
      auto* block = static_cast<unsigned char*>(box.client.allocate_aligned(alignment, bytes));
      ASSERT_NE(block, nullptr);
      ASSERT_EQ(base::address_of(block) % alignment, 0u);
      const auto value = static_cast<unsigned char>(random());
      const size_t marked = std::min<size_t>(bytes, 300'000);
      memset(block, value, marked);
      live[block] = {marked, value};
    } else {
      auto victim = live.begin();
      std::advance(victim, random() % live.size());
      const auto& [marked, value] = victim->second;
      for (size_t i = 0; i < marked; i += 1 + marked / 500) ASSERT_EQ(victim->first[i], value);
      ASSERT_EQ(box.client.release(victim->first), heap::Released::kDone);
      live.erase(victim);
    }
    if (step % 1500 == 0) {
      box.client.purge();
      box.engine->verify();
    }
  }
  for (const auto& [block, what] : live) {
    for (size_t i = 0; i < what.first; ++i) ASSERT_EQ(block[i], what.second);
    ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  }
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.live_blocks, 0u);
  EXPECT_EQ(stats.mapped_bytes, box.os.mapped_bytes());
}

// Spans are counted in 4 KiB; on larger pages most of them begin or end in the middle of one. All
// the whole pages in all of them go, not only those of the first.
TEST_P(PageSizes, PurgeReachesEverySpan) {
  std::vector<void*> spans;
  std::vector<void*> fences;
  for (int i = 0; i < 20; ++i) {
    spans.push_back(box.client.allocate(300'000));
    memset(spans.back(), 1, 300'000);
    fences.push_back(box.client.allocate(70'000));
    *static_cast<char*>(fences.back()) = 5;
  }
  for (void* block : spans) box.client.release(block);
  const size_t freed = box.client.purge();
  EXPECT_GE(freed, 20 * (300'000 - 2 * GetParam()));
  for (void* block : fences) ASSERT_EQ(*static_cast<char*>(block), 5);
  const uint64_t calls = box.os.calls(VmCall::kPurge);
  box.client.purge();
  EXPECT_EQ(box.os.calls(VmCall::kPurge), calls) << "nothing new to give back";
}

}  // namespace
}  // namespace tide::tests
