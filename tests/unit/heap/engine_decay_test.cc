// The background's looks: what nobody needs goes back, what is in use stays.
#include <gtest/gtest.h>
#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/engine_client.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

class EngineDecay : public testing::Test {
 protected:
  EngineDecay() {
    box.os.set_hook([this](const FakeOs::Event& event) {
      if (event.call != VmCall::kPurge) return;
      ++purge_calls;
      purged_bytes += event.bytes;
    });
  }

  heap::Stats stats() {
    heap::Stats result;
    box.engine->collect_stats(result);
    return result;
  }

  // Until there is nothing left to do. Returns how many looks that took.
  int look_until_done() {
    int looks = 1;
    while (box.engine->look()) {
      if (++looks > 1000) ADD_FAILURE() << "does not come to an end";
      if (looks > 1000) break;
    }
    return looks;
  }

  StartedBox box;
  size_t purge_calls = 0;
  size_t purged_bytes = 0;
};

TEST_F(EngineDecay, AnIdleHeapGivesEverythingBackSoon) {
  if (!sys::fence_all_threads()) GTEST_SKIP() << "no barrier for all threads here";
  std::mt19937 random(5);
  std::vector<void*> blocks;
  for (int i = 0; i < 20'000; ++i) blocks.push_back(box.client.allocate(1 + random() % 9000));
  for (int i = 0; i < 30; ++i) blocks.push_back(box.client.allocate(1 + random() % 500'000));
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (void* block : blocks) box.client.release(block);
  box.engine->look();
  EXPECT_LE(look_until_done(), 5);
  EXPECT_EQ(stats().cached_bytes, 0u);
  EXPECT_EQ(stats().free_dirty_bytes, 0u);
}

TEST_F(EngineDecay, NothingToGiveBackEndsIt) {
  void* const block = box.client.allocate(1000);
  box.engine->look();
  EXPECT_LE(look_until_done(), 3);
  EXPECT_EQ(purge_calls, 0u) << "the rest of one slab is not worth a call, or is untouched";
  box.client.release(block);
}

TEST_F(EngineDecay, AMillionSmallFreesCostFewCalls) {
  if (!sys::fence_all_threads()) GTEST_SKIP() << "no barrier for all threads here";
  std::mt19937 random(6);
  std::vector<void*> blocks;
  for (int i = 0; i < 1'000'000; ++i) blocks.push_back(box.client.allocate(100));
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (size_t i = 0; i < blocks.size(); ++i) {
    box.client.release(blocks[i]);
    if (i % 100'000 == 0) box.engine->look();
  }
  look_until_done();
  EXPECT_GE(purged_bytes, 100 * kMiB);
  EXPECT_LE(purge_calls, 60u);
  EXPECT_EQ(stats().free_dirty_bytes, 0u);
}

// Each look sees a burst that was allocated and freed since the last one.
TEST_F(EngineDecay, WhatIsUsedAgainAndAgainStays) {
  const auto burst = [&] {
    std::vector<void*> blocks;
    for (int i = 0; i < 20'000; ++i) blocks.push_back(box.client.allocate(1 + i * 37 % 2000));
    for (int i = 0; i < 10; ++i) blocks.push_back(box.client.allocate(300'000));
    for (void* block : blocks) box.client.release(block);
  };
  for (int i = 0; i < 20; ++i) {
    burst();
    EXPECT_TRUE(box.engine->look());
  }
  const size_t before = purged_bytes;
  for (int i = 0; i < 200; ++i) {
    burst();
    EXPECT_TRUE(box.engine->look());
  }
  EXPECT_LE(purged_bytes - before, kMiB);
}

// The thread's own spans serve it, nothing else changes.
TEST_F(EngineDecay, SpansInUseStay) {
  for (int i = 0; i < 50; ++i) {
    void* const block = box.client.allocate(kMiB);
    box.client.release(block);
    EXPECT_TRUE(box.engine->look());
  }
  EXPECT_EQ(purged_bytes, 0u);
}

// A program that goes on working with little of what it had.
TEST_F(EngineDecay, WhatAWorkingProgramDoesNotNeedGoes) {
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(box.client.allocate(100'000));
  for (void* block : blocks) box.client.release(block);
  const auto work = [&] {
    std::vector<void*> some;
    for (int i = 0; i < 7; ++i) some.push_back(box.client.allocate(100'000));
    some.pop_back();
    for (void* block : some) box.client.release(block);
  };
  for (int i = 0; i < 64; ++i) {
    work();
    EXPECT_TRUE(box.engine->look());
  }
  EXPECT_LE(stats().free_dirty_bytes, 8 * kMiB);
  EXPECT_GE(purged_bytes, 80 * kMiB);
}

TEST_F(EngineDecay, AThreadThatSleepsIsDrainedWhileAnotherWorks) {
  if (!sys::fence_all_threads()) GTEST_SKIP() << "no barrier for all threads here";
  Client sleeper(*box.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 500; ++i) blocks.push_back(sleeper.allocate(8000));
  for (void* block : blocks) sleeper.release(block);
  std::vector<void*> kept;
  for (int i = 0; i < 64; ++i) {
    kept.push_back(box.client.allocate(64));
    box.engine->look();
  }
  uint32_t cached = 0;
  layout::for_each_stack(
      [&](uint32_t stack, uint32_t) { cached += layout::stack_count(*sleeper.cache(), stack); });
  EXPECT_EQ(cached, 0u);
  for (void* block : kept) box.client.release(block);
}

TEST_F(EngineDecay, RefusedPurgesLoseNothing) {
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(box.client.allocate(1 + i * 37 % 9000));
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 64 != 0) box.client.release(blocks[i]);
  }
  box.os.fail_kind(VmCall::kPurge);
  for (int i = 0; i < 10; ++i) box.engine->look();
  box.os.heal();
  box.engine->verify();
  EXPECT_GT(box.client.purge(), 0u);
  for (size_t i = 0; i < blocks.size(); i += 64) {
    EXPECT_EQ(box.client.release(blocks[i]), heap::Released::kDone);
  }
}

TEST_F(EngineDecay, WantsALookOnlyAfterMuchWasFreed) {
  void* const block = box.client.allocate(100);
  box.client.release(block);
  EXPECT_FALSE(box.engine->wants_look(box.client.cache()));
  std::vector<void*> blocks;
  for (int i = 0; i < 100'000; ++i) blocks.push_back(box.client.allocate(100));
  bool wanted = false;
  for (void* each : blocks) {
    if (heap::release_fast(box.engine->space(), *box.client.cache(), each)) continue;
    box.engine->release_slow(box.client.cache(), each);
    wanted = wanted || box.engine->wants_look(box.client.cache());
  }
  EXPECT_TRUE(wanted);
}

// Each frees too little for itself.
TEST_F(EngineDecay, WantsALookWhenManyThreadsHaveFreedALittle) {
  constexpr int kThreads = 100;
  constexpr int kBlocks = 10;
  constexpr size_t kBytes = size_t{4} << 10;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::vector<void*>> blocks(kThreads);
  for (auto& mine : blocks) {
    clients.push_back(std::make_unique<Client>(*box.engine));
    for (int i = 0; i < kBlocks; ++i) mine.push_back(clients.back()->allocate(kBytes));
  }
  bool wanted = false;
  for (int t = 0; t < kThreads; ++t) {
    for (void* each : blocks[t]) clients[t]->release(each);
    heap::ThreadCache* const cache = clients[t]->cache();
    cache->freed_bytes += kBlocks * kBytes;
    wanted = wanted || box.engine->wants_look(cache);
    clients[t]->park();
  }
  EXPECT_TRUE(wanted);
}

// All of it fits into the thread's cache, so that no free is a slow one.
TEST_F(EngineDecay, WantsALookWhenAThreadMayKeepMuch) {
  constexpr size_t kBytes = 3'000;
  std::vector<void*> blocks(1'000);
  bool wanted = false;
  for (void*& block : blocks) {
    block = box.client.allocate(kBytes);
    wanted = wanted || box.engine->wants_look_after_refill(box.client.cache());
  }
  // Of 3 MB the cache may keep less than one.
  EXPECT_FALSE(wanted);
  for (void*& block : blocks) block = box.client.allocate(10 * kBytes);
  for (int i = 0; i < 100; ++i) {
    blocks.push_back(box.client.allocate(5 * kBytes));
    blocks.push_back(box.client.allocate(20 * kBytes));
    wanted = wanted || box.engine->wants_look_after_refill(box.client.cache());
  }
  EXPECT_TRUE(wanted);
}

// A short-lived process with a few blocks of many sizes has long slabs of which it touched little.
TEST_F(EngineDecay, WantsNoLookAtWhatWasNeverTouched) {
  bool wanted = false;
  std::vector<void*> blocks;
  for (size_t bytes = 1100; bytes <= 32'000; bytes += bytes / 8) {
    blocks.push_back(box.client.allocate(bytes));
    wanted = wanted || box.engine->wants_look_after_refill(box.client.cache());
  }
  for (void* block : blocks) {
    box.client.release(block);
    wanted = wanted || box.engine->wants_look(box.client.cache());
  }
  EXPECT_FALSE(wanted);
}

TEST_F(EngineDecay, WantsALookWhenAThreadKeepsManySpans) {
  constexpr size_t kBytes = size_t{1} << 20;
  std::vector<void*> blocks(4);
  for (void*& block : blocks) block = box.client.allocate(kBytes);
  bool wanted = false;
  heap::ThreadCache& cache = *box.client.cache();
  for (void* const block : blocks) {
    if (box.engine->keep_span(cache, block)) continue;
    box.engine->release_slow(&cache, block);
    wanted = wanted || box.engine->wants_look(&cache);
  }
  EXPECT_TRUE(wanted);
  EXPECT_NE(cache.spans.count, 0u);
  // Quiet looks later they have gone, and the next ones are noticed again.
  while (box.engine->look()) {
  }
  EXPECT_EQ(cache.spans.count, 0u);
}

// Looking costs more than such a pair: a program that frees a buffer and takes another, for ever,
// has freed nothing that others could use.
TEST_F(EngineDecay, SpansThatComeAndGoAreNotFreed) {
  constexpr size_t kBytes = size_t{128} << 10;
  heap::ThreadCache* const cache = box.client.cache();
  const auto release = [&](void* block) {
    EXPECT_EQ(box.engine->release_slow(cache, block), heap::Released::kDone);
  };
  for (int i = 0; i < 100; ++i) release(box.client.allocate(kBytes));
  EXPECT_EQ(cache->freed_bytes, 0u);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(box.client.allocate(kBytes));
  for (void* each : blocks) release(each);
  EXPECT_GE(cache->freed_bytes, 8 * kBytes);
}

}  // namespace
}  // namespace tide::tests
