// The footprint is what may be resident; the hard limit refuses, and recovers; the soft one lowers
// what is kept.
#include <gtest/gtest.h>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "sys/thread.h"
#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

heap::Config limited(size_t soft, size_t hard) {
  heap::Config config = heap::Config::defaults();
  config.limit_soft_bytes = soft;
  config.limit_hard_bytes = hard;
  return config;
}

void set_limits(StartedBox& box, size_t soft, size_t hard) {
  box.engine->limits().set(soft, hard);
  box.engine->enforce_limits(box.client.cache());
}

class HardLimit : public testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Sizes, HardLimit,
                         testing::Values(16u, 64u, 1000u, 5000u, 40'000u, 100'000u, 1'500'000u,
                                         40'000'000u));

TEST_P(HardLimit, IsReachedHeldAndLeft) {
  const size_t bytes = GetParam();
  const size_t hard = 128 * kMiB;
  StartedBox box({}, limited(0, hard));
  FakeEngine& engine = *box.engine;
  for (int round = 0; round < 3; ++round) {
    const auto blocks = fill(box.client, bytes);
    const size_t live = blocks.size() * bytes;
    EXPECT_LE(box.os.resident_bytes(), hard);
    // An emptied slab counts whole, its unused ends too.
    EXPECT_LE(engine.limits().footprint(), hard + hard / 256);
    EXPECT_GE(live, hard / 10 * 8 - bytes) << "round " << round << ": most of it can be had";
    EXPECT_EQ(box.client.allocate(bytes), nullptr) << "and stays refused";
    release_all(box.client, blocks);
    engine.verify();
  }
}

TEST(EngineLimits, WhatOneSizeFreedAnotherMayHave) {
  StartedBox box({}, limited(0, 64 * kMiB));
  size_t previous = 0;
  for (const size_t bytes : {64u, 3000u, 200'000u, 48u, 40'000'000u, 20'000u, 64u}) {
    const auto blocks = fill(box.client, bytes);
    EXPECT_GE(blocks.size() * bytes, 30 * kMiB) << bytes << " after " << previous;
    EXPECT_LE(box.os.resident_bytes(), 64 * kMiB);
    release_all(box.client, blocks);
    previous = bytes;
  }
  box.engine->verify();
}

TEST(EngineLimits, HolesGoBeforeAnybodyIsRefused) {
  StartedBox box({}, limited(0, 64 * kMiB));
  const auto blocks = fill(box.client, 512);
  std::vector<void*> kept;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 64 == 0) {
      kept.push_back(blocks[i]);
    } else {
      box.client.release(blocks[i]);
    }
  }
  const auto others = fill(box.client, 300'000);
  EXPECT_GE(others.size() * 300'000, 40 * kMiB);
  EXPECT_LE(box.os.resident_bytes(), 64 * kMiB);
  for (void* block : kept) {
    for (size_t i = 0; i < 512; ++i) ASSERT_EQ(static_cast<char*>(block)[i], 0x5a);
  }
  // And the holes themselves may be filled again as far as the limit goes.
  EXPECT_LT(fill(box.client, 512).size(), blocks.size() / 3);
  EXPECT_LE(box.os.resident_bytes(), 64 * kMiB);
  box.engine->verify();
}

TEST(EngineLimits, EveryCallOfTheFamilyIsRefusedAndChangesNothing) {
  StartedBox box({}, limited(0, 64 * kMiB));
  Client& client = box.client;
  auto* const block = static_cast<char*>(client.allocate(30 * kMiB));
  auto* const huge = static_cast<char*>(client.allocate(34 * kMiB));
  ASSERT_NE(block, nullptr);
  ASSERT_EQ(huge, nullptr);
  memset(block, 1, 30 * kMiB);
  EXPECT_EQ(client.allocate(40 * kMiB), nullptr);
  EXPECT_EQ(client.allocate_zeroed(40 * kMiB), nullptr);
  EXPECT_EQ(client.allocate_aligned(8192, 40 * kMiB), nullptr);
  EXPECT_EQ(client.reallocate(block, 80 * kMiB), nullptr);
  for (size_t i = 0; i < 30 * kMiB; i += 4096) ASSERT_EQ(block[i], 1);
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  ASSERT_NE(heap, nullptr);
  EXPECT_EQ(box.engine->heap_allocate(heap, 40 * kMiB, 16, false), nullptr);
  EXPECT_EQ(box.engine->heap_use(heap).live_bytes, 0u);
  // What fits is given, by growing in place too.
  auto* const grown = static_cast<char*>(client.reallocate(block, 50 * kMiB));
  ASSERT_NE(grown, nullptr);
  for (size_t i = 0; i < 30 * kMiB; i += 4096) ASSERT_EQ(grown[i], 1);
  client.release(grown);
  EXPECT_NE(box.engine->heap_allocate(heap, 40 * kMiB, 16, false), nullptr);
  box.engine->verify();
}

TEST(EngineLimits, OtherThreadsCachesKeepLittle) {
  const size_t hard = 32 * kMiB;
  StartedBox box({}, limited(0, hard));
  std::deque<Client> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back(*box.engine);
    for (const size_t bytes : {100u, 1000u, 10'000u, 200'000u}) {
      release_all(threads.back(), fill(threads.back(), bytes, kMiB));
    }
  }
  const auto blocks = fill(box.client, 50'000);
  // Without a barrier they keep what they have.
  EXPECT_GE(blocks.size() * 50'000, sys::fence_all_threads() ? hard / 2 : hard * 2 / 5);
}

TEST(EngineLimits, HeapsCountForTheProcess) {
  StartedBox box({}, limited(0, 32 * kMiB));
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  std::vector<void*> blocks;
  while (void* const block = box.engine->heap_allocate(heap, 700, 16, false)) {
    memset(block, 1, 700);
    blocks.push_back(block);
  }
  EXPECT_GE(blocks.size() * 700, 24 * kMiB);
  EXPECT_LE(box.os.resident_bytes(), 32 * kMiB);
  EXPECT_EQ(box.client.allocate(1 * kMiB), nullptr);
  box.engine->heap_destroy(heap);
  EXPECT_NE(box.client.allocate(16 * kMiB), nullptr);
}

TEST(EngineLimits, RandomWorkloadStaysBelow) {
  constexpr uint64_t kSeed = 20261121;
  const size_t hard = 48 * kMiB;
  StartedBox box({}, limited(40 * kMiB, hard));
  std::mt19937_64 random(kSeed);
  std::vector<void*> blocks;
  size_t refused = 0;
  for (int step = 0; step < 40'000; ++step) {
    if (!blocks.empty() && random() % 100 < 40) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      ASSERT_EQ(box.client.release(blocks.back()), heap::Released::kDone);
      blocks.pop_back();
      continue;
    }
    const size_t bytes = size_t{1} << (random() % 24);
    void* const block =
        random() % 4 == 0 ? box.client.allocate_zeroed(bytes) : box.client.allocate(bytes);
    refused += block == nullptr;
    if (block != nullptr) {
      memset(block, 1, bytes);
      blocks.push_back(block);
    }
    if (step % 64 != 0) continue;
    const size_t resident = box.os.resident_bytes();
    ASSERT_LE(resident, hard) << "seed " << kSeed << " step " << step;
    ASSERT_LE(resident, box.engine->limits().footprint()) << "seed " << kSeed << " step " << step;
  }
  EXPECT_GT(refused, 100u);
  box.engine->verify();
  release_all(box.client, blocks);
  EXPECT_NE(box.client.allocate(40 * kMiB), nullptr);
}

TEST(EngineLimits, ThreadsTogetherStayBelow) {
  const size_t hard = 32 * kMiB;
  StartedBox box({}, limited(24 * kMiB, hard));
  std::atomic<int> running{4};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Client client(*box.engine);
      std::mt19937_64 random(t);
      std::vector<void*> blocks(200);
      for (int step = 0; step < 6000; ++step) {
        void*& slot = blocks[random() % blocks.size()];
        if (slot != nullptr) client.release(slot);
        const size_t bytes = size_t{1} << (random() % 20);
        slot = client.allocate(bytes);
        if (slot != nullptr) memset(slot, 1, bytes);
      }
      for (void* block : blocks) {
        if (block != nullptr) client.release(block);
      }
      client.park();
      --running;
    });
  }
  // A run of pages leaves the counter just before it goes.
  size_t most = 0;
  while (running != 0) {
    most = std::max(most, box.os.resident_bytes());
    // Who asks without a pause keeps the fake system's lock from the others.
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, hard + kMiB);
  EXPECT_GE(most, hard / 2);
  EXPECT_EQ(box.engine->limits().footprint(), box.engine->count_footprint());
  EXPECT_NE(box.client.allocate(24 * kMiB), nullptr);
  box.engine->verify();
}

TEST(EngineLimits, SetAtAnyTime) {
  StartedBox box;
  const auto blocks = fill(box.client, 4000, 40 * kMiB);
  set_limits(box, 0, 20 * kMiB);
  EXPECT_EQ(box.client.allocate(1 * kMiB), nullptr) << "below what is live: nothing more";
  release_all(box.client, blocks);
  EXPECT_NE(box.client.allocate(10 * kMiB), nullptr);
  EXPECT_EQ(box.client.allocate(20 * kMiB), nullptr);
  set_limits(box, 0, 0);
  EXPECT_NE(box.client.allocate(20 * kMiB), nullptr);
  EXPECT_NE(box.client.allocate(200 * kMiB), nullptr);
}

TEST(EngineLimits, ALimitBelowWhatIsFreeGivesBackAtOnce) {
  StartedBox box;
  release_all(box.client, fill(box.client, 100'000, 40 * kMiB));
  release_all(box.client, fill(box.client, 100, 40 * kMiB));
  EXPECT_GE(box.os.resident_bytes(), 60 * kMiB);
  set_limits(box, 8 * kMiB, 0);
  EXPECT_LE(box.os.resident_bytes(), 8 * kMiB);
}

// Blocks of all ages whose sizes drift: what is kept beyond them is what the soft limit is about.
size_t peak_of_drift(size_t soft) {
  StartedBox box({}, limited(soft, 0));
  std::mt19937_64 random(7);
  std::vector<void*> blocks;
  size_t peak = 0;
  for (int phase = 0; phase < 8; ++phase) {
    for (int i = 0; i < 3000; ++i) {
      const size_t bytes = (size_t{300} << phase) + random() % 100;
      if (bytes * blocks.size() > 24 * kMiB) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        box.client.release(blocks.back());
        blocks.pop_back();
      }
      blocks.push_back(box.client.allocate(bytes));
      memset(blocks.back(), 1, bytes);
    }
    peak = std::max(peak, box.os.resident_bytes());
  }
  box.engine->verify();
  return peak;
}

TEST(EngineLimits, SoftLimitLowersWhatIsKept) {
  const size_t without = peak_of_drift(0);
  const size_t with = peak_of_drift(16 * kMiB);
  EXPECT_LT(with, without / 10 * 9) << without << " bytes without";
}

TEST(EngineLimits, AboveTheSoftLimitNoMappingIsKept) {
  for (const size_t soft : {size_t{0}, 8 * kMiB}) {
    StartedBox box({}, limited(soft, 0));
    const auto other = fill(box.client, 2000, 12 * kMiB);
    box.client.release(box.client.allocate(40 * kMiB));
    heap::Stats stats;
    box.engine->collect_stats(stats);
    EXPECT_EQ(stats.huge_cached_bytes, soft == 0 ? 40 * kMiB : 0);
    EXPECT_EQ(box.engine->over_soft_limit(), soft != 0);
  }
}

TEST(EngineLimits, PurgeToATargetStopsWhereItIs) {
  StartedBox box;
  FakeEngine& engine = *box.engine;
  release_all(box.client, fill(box.client, 100'000, 40 * kMiB));
  const size_t before = engine.limits().footprint();
  EXPECT_EQ(engine.purge_to(box.client.cache(), before), 0u);
  EXPECT_EQ(engine.limits().footprint(), before);
  EXPECT_GT(engine.purge_to(box.client.cache(), 24 * kMiB), 10 * kMiB);
  EXPECT_LE(engine.limits().footprint(), 24 * kMiB);
  EXPECT_GE(engine.limits().footprint(), 20 * kMiB) << "no more than that";
  EXPECT_GE(engine.purge_to(box.client.cache(), 4 * kMiB), 18 * kMiB);
  EXPECT_LE(engine.limits().footprint(), 4 * kMiB);
  EXPECT_EQ(engine.limits().footprint(), engine.count_footprint());
}

TEST(EngineLimits, HolesGoLastAndOnlyAsFarAsNeeded) {
  StartedBox box;
  FakeEngine& engine = *box.engine;
  std::vector<void*> kept;
  const auto blocks = fill(box.client, 1000, 32 * kMiB);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 64 == 0) {
      kept.push_back(blocks[i]);
    } else {
      box.client.release(blocks[i]);
    }
  }
  const size_t before = engine.limits().footprint();
  engine.purge_to(box.client.cache(), before - 8 * kMiB);
  EXPECT_LE(engine.limits().footprint(), before - 8 * kMiB);
  EXPECT_GE(engine.limits().footprint(), before - 16 * kMiB);
  engine.purge_to(box.client.cache(), 0);
  EXPECT_LE(box.os.resident_bytes(), 6 * kMiB);
  EXPECT_EQ(engine.limits().footprint(), engine.count_footprint());
  for (void* block : kept) ASSERT_EQ(*static_cast<char*>(block), 0x5a);
}

// A thread that is never idle, and memory that it does not need: looks until all of it is gone.
int looks_of_a_busy_heap(size_t soft) {
  StartedBox box({}, limited(soft, 0));
  FakeEngine& engine = *box.engine;
  release_all(box.client, fill(box.client, 100'000, 40 * kMiB));
  int looks = 0;
  while (engine.limits().footprint() > 8 * kMiB && ++looks < 1000) {
    box.client.release(box.client.allocate(1 + static_cast<size_t>(looks) % 100));
    engine.look();
  }
  EXPECT_EQ(engine.limits().footprint(), engine.count_footprint());
  return looks;
}

TEST(EngineLimits, AboveTheSoftLimitTheBackgroundDoesNotWait) {
  EXPECT_LT(looks_of_a_busy_heap(8 * kMiB), looks_of_a_busy_heap(0));
}

TEST(EngineLimits, WhatGoesLazilyCountsAgainWhenItIsTaken) {
  for (const size_t bytes : {100u, 5000u, 100'000u}) {
    heap::Config config = limited(0, 64 * kMiB);
    config.purge_lazily = true;
    StartedBox box({}, config);
    FakeEngine& engine = *box.engine;
    for (int round = 0; round < 3; ++round) {
      const auto blocks = fill(box.client, bytes, 48 * kMiB);
      EXPECT_GE(blocks.size() * bytes, 48 * kMiB);
      EXPECT_GE(engine.limits().footprint(), 48 * kMiB) << bytes;
      release_all(box.client, blocks);
      engine.purge(box.client.cache());
      EXPECT_LE(engine.limits().footprint(), 8 * kMiB) << bytes;
      EXPECT_EQ(engine.limits().footprint(), engine.count_footprint());
      engine.verify();
    }
  }
}

TEST(EngineLimits, WhatTheSystemRefusesToTakeStillCounts) {
  StartedBox box;
  FakeEngine& engine = *box.engine;
  const auto blocks = fill(box.client, 700, 16 * kMiB);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 32 != 0) box.client.release(blocks[i]);
  }
  for (size_t k = 1; k < 40; ++k) {
    box.os.fail_calls(box.os.calls() + k);
    engine.purge(box.client.cache());
    box.os.heal();
    ASSERT_LE(box.os.resident_bytes(), engine.limits().footprint()) << "call " << k;
    ASSERT_EQ(engine.limits().footprint(), engine.count_footprint()) << "call " << k;
  }
}

// Frees seven of eight pages' worth of a heap's blocks, of which it has 24 MiB.
size_t resident_after_frees(size_t soft) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  box.engine->heap_set_soft_limit(heap, soft);
  std::vector<void*> blocks;
  for (const size_t bytes : {400u, 3000u, 100'000u}) {
    for (size_t sum = 0; sum < 8 * kMiB; sum += bytes) {
      blocks.push_back(box.engine->heap_allocate(heap, bytes, 0, false));
      memset(blocks.back(), 3, bytes);
    }
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 128 != 0) {
      EXPECT_EQ(box.client.release(blocks[i]), heap::Released::kDone);
    }
  }
  const size_t resident = box.os.resident_bytes();
  const heap::HeapUse use = box.engine->heap_use(heap);
  if (soft != SIZE_MAX) EXPECT_LE(use.live_bytes + use.kept_bytes, soft + kMiB);
  for (size_t i = 0; i < blocks.size(); i += 128) EXPECT_EQ(*static_cast<char*>(blocks[i]), 3);
  box.engine->verify();
  box.engine->heap_destroy(heap);
  box.engine->verify();
  return resident;
}

TEST(EngineLimits, AHeapsSoftLimitReturnsItsFreePages) {
  EXPECT_GE(resident_after_frees(SIZE_MAX), 23 * kMiB);
  EXPECT_GE(resident_after_frees(30 * kMiB), 23 * kMiB) << "below it nothing goes";
  EXPECT_LE(resident_after_frees(8 * kMiB), 13 * kMiB);
  EXPECT_LE(resident_after_frees(1 * kMiB), 6 * kMiB);
}

TEST(EngineLimits, AHeapsSoftLimitSetLaterCountsAtOnce) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  std::vector<void*> blocks;
  for (int i = 0; i < 4000; ++i) {
    blocks.push_back(box.engine->heap_allocate(heap, 4000, 0, false));
    memset(blocks.back(), 3, 4000);
  }
  release_all(box.client, blocks);
  const size_t before = box.os.resident_bytes();
  EXPECT_GE(box.engine->heap_use(heap).kept_bytes, 15 * kMiB);
  box.engine->heap_set_soft_limit(heap, 1 * kMiB);
  EXPECT_EQ(box.engine->heap_use(heap).kept_bytes, 0u);
  EXPECT_LE(box.os.resident_bytes(), before - 14 * kMiB);
}

TEST(EngineLimits, TooLittleToStartIsNoCrash) {
  StartedBox box({}, limited(0, 1));
  ASSERT_TRUE(box.started);
  EXPECT_EQ(box.client.allocate(16), nullptr);
  EXPECT_EQ(box.client.allocate(100'000), nullptr);
  EXPECT_EQ(box.client.allocate(100 * kMiB), nullptr);
  set_limits(box, 0, 0);
  EXPECT_NE(box.client.allocate(16), nullptr);
}

}  // namespace
}  // namespace tide::tests
