// Blocks that lie idle in a thread's cache can be taken out from outside, whatever that thread does
// meanwhile.
#include <gtest/gtest.h>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "base/racy.h"
#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

uint32_t blocks_in(layout::ThreadCache& cache) {
  uint32_t count = 0;
  layout::for_each_stack(
      [&](uint32_t stack, uint32_t) { count += layout::stack_count(cache, stack); });
  return count;
}

void fill_cache(Client& client) {
  std::vector<void*> blocks;
  for (int i = 0; i < 3000; ++i) blocks.push_back(client.allocate(1 + i * 37 % 60'000));
  for (void* block : blocks) ASSERT_EQ(client.release(block), heap::Released::kDone);
}

class CacheDrain : public testing::Test {
 protected:
  void SetUp() override {
    // ThreadSanitizer does not know membarrier(2), which this is built on.
    if (!sys::fence_all_threads()) GTEST_SKIP() << "no barrier for all threads here";
  }
  StartedBox box;
};

TEST_F(CacheDrain, PurgeTakesEverythingOutOfOtherThreadsCaches) {
  fill_cache(box.client);
  ASSERT_GT(blocks_in(*box.client.cache()), 100u);
  EXPECT_GT(box.engine->purge(nullptr), 0u);
  EXPECT_EQ(blocks_in(*box.client.cache()), 0u);
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.live_blocks, 0u);
  EXPECT_EQ(stats.cached_bytes, 0u);
  EXPECT_EQ(stats.free_dirty_bytes, 0u);
  box.engine->verify();
}

TEST_F(CacheDrain, TheThreadGoesOnAsIfNothingHadHappened) {
  for (int round = 0; round < 5; ++round) {
    fill_cache(box.client);
    // Some blocks on top of stacks that were emptied below.
    box.engine->purge(nullptr);
    std::set<void*> live;
    for (int i = 0; i < 3000; ++i) {
      void* const block = box.client.allocate(1 + i * 53 % 60'000);
      ASSERT_TRUE(live.insert(block).second) << "handed out twice";
      if (i % 3 == 0) {
        ASSERT_EQ(box.client.release(block), heap::Released::kDone);
        live.erase(block);
      }
      if (i % 500 == 0) box.engine->purge(nullptr);
    }
    box.engine->verify();
    for (void* block : live) ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  }
}

TEST_F(CacheDrain, DoubleFreeIsFoundAfterIt) {
  void* const block = box.client.allocate(100);
  ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  box.engine->purge(nullptr);
  EXPECT_EQ(box.client.release(block), heap::Released::kBad);
}

TEST_F(CacheDrain, AThreadInASlowPathIsLeftAlone) {
  fill_cache(box.client);
  const uint32_t before = blocks_in(*box.client.cache());
  {
    const heap::CacheUse use(box.client.cache());
    box.engine->purge(nullptr);
    EXPECT_EQ(blocks_in(*box.client.cache()), before);
  }
  box.engine->purge(nullptr);
  EXPECT_EQ(blocks_in(*box.client.cache()), 0u);
}

// The owner pops and pushes as fast as it can while its cache is drained again and again: no block
// may get lost or be handed out twice.
TEST_F(CacheDrain, WhileTheThreadIsAtIt) {
  constexpr uint32_t kSlots = 64;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> calls{0};
  std::thread owner([&] {
    Client client(*box.engine);
    std::mt19937 random(7);
    struct Slot {
      unsigned char* p;
      size_t bytes;
      unsigned char value;
    } slots[kSlots] = {};
    unsigned char value = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      Slot& slot = slots[random() % kSlots];
      if (slot.p != nullptr) {
        ASSERT_EQ(slot.p[0], slot.value);
        ASSERT_EQ(slot.p[slot.bytes - 1], slot.value);
        ASSERT_EQ(client.release(slot.p), heap::Released::kDone);
      }
      // Mostly the same few sizes, so that stacks stay in use and the fast paths are taken.
      slot.bytes = random() % 8 != 0 ? 64 : 1 + random() % 9000;
      slot.p = static_cast<unsigned char*>(client.allocate(slot.bytes));
      ASSERT_NE(slot.p, nullptr);
      slot.value = ++value;
      slot.p[0] = slot.p[slot.bytes - 1] = slot.value;
      calls.fetch_add(1, std::memory_order_relaxed);
    }
    for (const Slot& slot : slots) {
      if (slot.p != nullptr) client.release(slot.p);
    }
    client.park();
  });
  for (int i = 0; i < 2000 || calls.load() < 100'000; ++i) box.engine->purge(nullptr);
  stop = true;
  owner.join();
  box.engine->verify();
  box.engine->purge(nullptr);
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.live_blocks, 0u) << "lost on the way";
  EXPECT_EQ(stats.free_dirty_bytes, 0u);
}

}  // namespace
}  // namespace tide::tests
