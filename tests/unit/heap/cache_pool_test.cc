// Thread caches: bounded, handed on, and never a place where blocks are lost.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <deque>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

using layout::kClassCount;

size_t bytes_in(layout::ThreadCache& cache) {
  size_t total = 0;
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    total += layout::stack_count(cache, stack) * layout::class_bytes(c);
  });
  return total;
}

void check_cache(layout::ThreadCache& cache, size_t bound) {
  size_t capacity_bytes = 0;
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    ASSERT_LE(cache.top[stack], cache.limit[stack]) << stack;
    ASSERT_LE(layout::stack_capacity(cache, stack), layout::cache_slots(c)) << stack;
    ASSERT_EQ(*layout::stack_bottom(cache, stack), 0u) << stack;
    ASSERT_EQ(cache.head[stack], *cache.top[stack]) << stack;
    if (layout::is_foreign(cache, stack)) return;
    capacity_bytes += layout::stack_capacity(cache, stack) * layout::class_bytes(c);
  });
  EXPECT_EQ(cache.bound_bytes, capacity_bytes);
  EXPECT_LE(capacity_bytes, bound);
  for (const uint32_t stack : {0u, uint32_t{layout::kFreeZero}, uint32_t{layout::kLiveSpecial}}) {
    EXPECT_EQ(cache.top[stack], cache.limit[stack]) << "always empty and full";
  }
}

TEST(CachePool, ParkedCachesServeTheNextThread) {
  StartedBox box;
  layout::ThreadCache* const first = box.client.cache();
  Client second(*box.engine);
  EXPECT_NE(second.cache(), first);
  layout::ThreadCache* const its_cache = second.cache();
  second.park();
  Client third(*box.engine);
  EXPECT_EQ(third.cache(), its_cache);
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.thread_caches, 2u);
}

// A thread touches the pages of the slots that it uses, and no others.
TEST(CachePool, SlotsAreNotLookedAtBeforeUse) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = base::align_up(sizeof(layout::ThreadCache), page);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(madvise(memory, bytes, MADV_NOHUGEPAGE), 0);
  auto& cache = *static_cast<layout::ThreadCache*>(memory);
  heap::lay_out_stacks(cache);
  std::vector<unsigned char> is_present(bytes / page);
  ASSERT_EQ(mincore(memory, bytes, is_present.data()), 0);
  const auto place = [&](void* part) {
    return base::align_up(base::address_of(part) - base::address_of(memory), page) / page;
  };
  const size_t first = place(cache.short_slots);
  const size_t end = place(&cache.waiting) - 1;
  ASSERT_LT(first, end);
  for (size_t i = first; i < end; ++i) EXPECT_EQ(is_present[i] & 1, 0) << "page " << i;
  check_cache(cache, 0);
  munmap(memory, bytes);
}

// Leaves some hundred KiB in the cache.
void use(Client& client) {
  std::vector<void*> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back(client.allocate(1 + i * 37 % 5000));
  for (void* block : blocks) client.release(block);
}

uint32_t capacity_of_64(Client& client) {
  layout::ThreadCache& cache = *client.cache();
  return layout::stack_capacity(cache, layout::own_stack(cache, layout::class_of(64)));
}

TEST(CachePool, StacksGetDeepOnlyForThreadsThatTakeAndFreeByTheThousand) {
  const layout::ClassInfo& info = layout::kClassInfo[layout::class_of(64)];
  ASSERT_GT(info.cache_slots, info.usual_slots);
  StartedBox box;
  std::vector<void*> blocks(20'000);
  for (int round = 0; round < 9; ++round) {
    for (void*& block : blocks) block = box.client.allocate(64);
    if (round == 0) EXPECT_EQ(capacity_of_64(box.client), info.usual_slots) << "it only takes";
    for (void* block : blocks) box.client.release(block);
    check_cache(*box.client.cache(), size_t{8} << 20);
  }
  EXPECT_EQ(capacity_of_64(box.client), info.cache_slots);
  // Another one only frees what this one takes.
  Client other(*box.engine);
  for (int round = 0; round < 6; ++round) {
    for (void*& block : blocks) block = box.client.allocate(64);
    for (void* block : blocks) other.release(block);
  }
  EXPECT_LE(capacity_of_64(other), info.usual_slots);
  box.engine->verify();
}

// Their slots are not counted.
TEST(CachePool, StacksAreNoDeeperThanUsualWhereThereIsAHardLimit) {
  heap::Config config = heap::Config::defaults();
  config.limit_hard_bytes = size_t{1} << 30;
  StartedBox box({}, config);
  std::vector<void*> blocks(3'000);
  for (int round = 0; round < 6; ++round) {
    for (void*& block : blocks) block = box.client.allocate(64);
    for (void* block : blocks) box.client.release(block);
  }
  EXPECT_EQ(capacity_of_64(box.client), layout::kClassInfo[layout::class_of(64)].usual_slots);
  box.engine->verify();
}

TEST(CachePool, DeepStacksGetLowerWhenTheirShareDoes) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = size_t{512} << 10;
  StartedBox box({}, config);
  std::vector<void*> blocks(3'000);
  const auto turn = [&] {
    for (const size_t bytes : {64, 80, 96}) {
      for (void*& block : blocks) block = box.client.allocate(bytes);
      for (void* block : blocks) box.client.release(block);
    }
  };
  for (int round = 0; round < 4; ++round) turn();
  const size_t before = box.client.cache()->bound_bytes;
  std::deque<Client> others;
  for (int i = 0; i < 200; ++i) use(others.emplace_back(*box.engine));
  for (int round = 0; round < 4; ++round) turn();
  EXPECT_LT(box.client.cache()->bound_bytes, before);
  check_cache(*box.client.cache(), before);
  box.engine->verify();
}

TEST(CachePool, WhatAThreadLeavesServesTheNext) {
  StartedBox box;
  Client thread(*box.engine);
  void* const block = thread.allocate(100);
  thread.release(block);
  thread.park();
  Client next(*box.engine);
  EXPECT_EQ(next.allocate(100), block);
}

TEST(CachePool, ManyShortThreadsDoNotMakeTheirCacheGrow) {
  StartedBox box;
  uint32_t most = 0;
  for (int i = 0; i < 400; ++i) {
    Client thread(*box.engine);
    std::vector<void*> blocks;
    for (int k = 0; k < 12; ++k) blocks.push_back(thread.allocate(1000));
    void* const left = blocks.back();
    blocks.pop_back();
    for (void* block : blocks) thread.release(block);
    layout::ThreadCache& cache = *thread.cache();
    most = std::max(most, layout::stack_count(cache, layout::class_of(1000)));
    thread.park();
    check_cache(cache, size_t{8} << 20);
    box.client.release(left);
  }
  EXPECT_LE(most, 24u) << "no thread had more than twelve";
  EXPECT_GE(most, 12u) << "what one left serves the next";
}

TEST(CachePool, ParkedCachesKeepLittleInAll) {
  StartedBox box;
  std::vector<layout::ThreadCache*> caches;
  std::deque<Client> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back(*box.engine);
    use(threads.back());
    caches.push_back(threads.back().cache());
    ASSERT_GT(bytes_in(*caches.back()), size_t{100} << 10);
  }
  for (Client& thread : threads) thread.park();
  size_t kept = 0;
  for (layout::ThreadCache* cache : caches) kept += bytes_in(*cache);
  EXPECT_GT(kept, 0u);
  EXPECT_LE(kept, size_t{2} << 20);
  // Who takes one over has its share back to give.
  Client next(*box.engine);
  use(next);
  next.park();
  box.client.purge();
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.thread_caches, 1u) << "those of the threads that ended are gone";
  EXPECT_EQ(stats.cached_bytes, 0u);
  EXPECT_EQ(stats.live_blocks, 0u);
  box.engine->verify();
}

uint64_t count_caches(StartedBox& box) {
  heap::Stats stats;
  box.engine->collect_stats(stats);
  return stats.thread_caches;
}

TEST(CachePool, ParkedCachesNeedNoMemoryOfTheirOwn) {
  StartedBox box;
  std::deque<Client> threads;
  for (int i = 0; i < 100; ++i) use(threads.emplace_back(*box.engine));
  const size_t mapped = box.os.mapped_bytes();
  for (Client& thread : threads) thread.park();
  box.client.purge();
  const size_t resident = box.os.resident_bytes();
  EXPECT_EQ(count_caches(box), 1u);
  // They are made again of the same addresses.
  for (Client& thread : threads) {
    thread.acquire();
    check_cache(*thread.cache(), 0);
  }
  EXPECT_EQ(count_caches(box), 101u);
  EXPECT_EQ(box.os.mapped_bytes(), mapped);
  EXPECT_GT(box.os.resident_bytes(), resident + threads.size() * 4096);
  std::vector<void*> blocks;
  for (Client& thread : threads) blocks.push_back(thread.allocate(100));
  EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), blocks.size());
  for (void* block : blocks) ASSERT_EQ(threads[0].release(block), heap::Released::kDone);
  for (Client& thread : threads) thread.park();
  box.client.purge();
  EXPECT_LT(box.os.resident_bytes(), resident + threads.size() / 2 * 4096);
  box.engine->verify();
}

// For ThreadSanitizer: who counts has no lock, and may be at a cache that is being made again.
TEST(CachePool, ACacheIsMadeWhileItIsCounted) {
  StartedBox box;
  Client thread(*box.engine);
  layout::ThreadCache* const cache = thread.cache();
  thread.park();
  box.client.purge();
  std::atomic<bool> has_counted{false};
  std::thread reader([&] {
    heap::for_each_cached_count(*cache, [](uint32_t, uint32_t) {});
    has_counted.store(true, std::memory_order_relaxed);
  });
  while (!has_counted.load(std::memory_order_relaxed)) std::this_thread::yield();
  thread.acquire();
  EXPECT_EQ(thread.cache(), cache);
  reader.join();
}

TEST(CachePool, ACacheWhoseMemoryCannotGoStaysParked) {
  StartedBox box;
  Client thread(*box.engine);
  use(thread);
  layout::ThreadCache* const cache = thread.cache();
  thread.park();
  box.os.fail_kind(VmCall::kPurge);
  box.client.purge();
  EXPECT_EQ(count_caches(box), 2u);
  box.os.heal();
  thread.acquire();
  EXPECT_EQ(thread.cache(), cache);
  use(thread);
  thread.park();
  box.client.purge();
  EXPECT_EQ(count_caches(box), 1u);
  box.engine->verify();
}

TEST(CachePool, StaysWithinItsBound) {
  for (const size_t bound : {size_t{0}, size_t{1000}, size_t{100'000}, size_t{1} << 20}) {
    heap::Config config = heap::Config::defaults();
    config.thread_cache_bytes = bound;
    StartedBox box({}, config);
    for (int round = 0; round < 3; ++round) {
      std::vector<void*> blocks;
      for (uint32_t c = 1; c < kClassCount; ++c) {
        for (int i = 0; i < 40; ++i) blocks.push_back(box.client.allocate(layout::class_bytes(c)));
      }
      check_cache(*box.client.cache(), bound);
      for (void* block : blocks) {
        ASSERT_NE(block, nullptr);
        ASSERT_EQ(box.client.release(block), heap::Released::kDone);
      }
      check_cache(*box.client.cache(), bound);
    }
    box.engine->verify();
  }
}

// Each search looks at all stacks: at every other call it would take longer than all else.
TEST(CachePool, StacksThatAreAllInUseSeldomTakeFromEachOther) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = size_t{256} << 10;
  StartedBox box({}, config);
  const uint32_t first = layout::class_of(8 << 10);
  const uint32_t last = layout::class_of(34 << 10);
  std::vector<uint32_t> classes;
  std::vector<void*> blocks;
  std::mt19937 random(20261124);
  const auto allocate = [&] {
    classes.push_back(first + random() % (last - first + 1));
    blocks.push_back(box.client.allocate(layout::class_bytes(classes.back())));
  };
  for (int i = 0; i < 200; ++i) allocate();
  constexpr unsigned kCalls = 10'000;
  unsigned searches = 0;
  for (unsigned i = 0; i < kCalls; ++i) {
    std::swap(blocks[random() % blocks.size()], blocks.back());
    box.client.release(blocks.back());
    blocks.pop_back();
    const uint8_t cursor = box.client.cache()->steal_cursor;
    allocate();
    if (box.client.cache()->steal_cursor != cursor) ++searches;
  }
  EXPECT_GT(searches, 0u) << "one that has no room at all finds some";
  EXPECT_LT(searches, kCalls / 10);
  for (void* block : blocks) box.client.release(block);
  box.engine->verify();
}

TEST(CachePool, BusyClassGetsAsManySlotsAsItMay) {
  StartedBox box;
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; ++i) blocks.push_back(box.client.allocate(64));
  for (void* block : blocks) box.client.release(block);
  const uint32_t c = layout::class_of(64);
  EXPECT_GE(layout::stack_capacity(*box.client.cache(), layout::own_stack(*box.client.cache(), c)),
            2 * layout::batch_blocks(c));
}

// Their room counts as taken, so others would have none.
TEST(CachePool, StacksOfLongBlocksGrowOnlyWhenTheyHaveRunFull) {
  StartedBox box;
  const uint32_t c = layout::kLastClass;
  const auto capacity = [&] { return layout::stack_capacity(*box.client.cache(), c); };
  std::vector<void*> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(box.client.allocate(layout::class_bytes(c)));
  EXPECT_EQ(capacity(), 2u);
  for (int round = 0; round < 5; ++round) {
    for (void* block : blocks) box.client.release(block);
    for (void*& block : blocks) block = box.client.allocate(layout::class_bytes(c));
  }
  EXPECT_EQ(capacity(), layout::usual_slots(c));
  box.engine->verify();
}

TEST(CachePool, BlocksFreedElsewhereComeBack) {
  // One thread allocates, another frees: memory must not grow with every round.
  StartedBox box;
  Client other(*box.engine);
  size_t after_first = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> blocks;
    for (int i = 0; i < 3000; ++i) blocks.push_back(box.client.allocate(200));
    for (void* block : blocks) ASSERT_EQ(other.release(block), heap::Released::kDone);
    if (round == 1) after_first = box.os.mapped_bytes();
  }
  EXPECT_EQ(box.os.mapped_bytes(), after_first);
}

// Blocks that share a cache line with others are never used again by a thread of another home.
TEST(CachePool, SmallestBlocksGoBackToTheirHome) {
  for (const size_t bytes : {16u, 32u, 48u}) {
    StartedBox box;
    Client other(*box.engine);
    ASSERT_NE(box.client.cache()->home, other.cache()->home);
    const auto line_of = [](void* block) { return base::address_of(block) / 64; };
    std::set<uintptr_t> lines;
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i) {
      blocks.push_back(box.client.allocate(bytes));
      lines.insert(line_of(blocks.back()));
    }
    for (void* block : blocks) {
      ASSERT_EQ(other.release(block), heap::Released::kDone);
      ASSERT_EQ(other.release(block), heap::Released::kBad) << "and a second free is found";
      ASSERT_EQ(lines.count(line_of(other.allocate(bytes))), 0u);
    }
    EXPECT_LE(bytes_in(*other.cache()), 64 * 320u) << "what is on its way is little";
    size_t back = 0;
    for (int i = 0; i < 1000; ++i) back += lines.count(line_of(box.client.allocate(bytes)));
    EXPECT_GE(back, 500u) << "it comes back to its home";
    other.park();
    box.engine->verify();
  }
}

TEST(CachePool, BlocksOfASlabThatChangedItsHomeAreFreedAsOthers) {
  StartedBox box;
  Client other(*box.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 4096; ++i) blocks.push_back(box.client.allocate(16));
  // Sparse, and full once: the other home takes the slab over before the zone grows.
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 8 != 0) {
      ASSERT_EQ(box.client.release(blocks[i]), heap::Released::kDone);
    }
  }
  box.client.park();
  std::vector<void*> its;
  for (int i = 0; i < 3000; ++i) its.push_back(other.allocate(16));
  for (size_t i = 0; i < blocks.size(); i += 8) {
    EXPECT_EQ(box.engine->usable_bytes(blocks[i]), 16u);
    ASSERT_EQ(other.release(blocks[i]), heap::Released::kDone);
    ASSERT_EQ(other.release(blocks[i]), heap::Released::kBad);
  }
  for (void* block : its) ASSERT_EQ(other.release(block), heap::Released::kDone);
  box.engine->verify();
}

TEST(CachePool, NoMemoryForACacheMeansNone) {
  StartedBox box;  // the first cache needs none
  box.os.fail_kind(VmCall::kMap);
  Client second(*box.engine);
  EXPECT_EQ(second.cache(), nullptr);
  void* const block = second.allocate(100);
  EXPECT_NE(block, nullptr) << "works without a cache";
  EXPECT_EQ(second.release(block), heap::Released::kDone);
  box.os.heal();
  second.acquire();
  EXPECT_NE(second.cache(), nullptr);
}

TEST(CachePool, ManyShortThreadsNeedOneCache) {
  StartedBox box;
  for (int i = 0; i < 1000; ++i) {
    Client thread(*box.engine);
    void* const block = thread.allocate(500);
    ASSERT_NE(block, nullptr);
    thread.release(block);
    thread.park();
  }
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.thread_caches, 2u);
}

// A fork between malloc's two stores: the block is the vanished thread's, the head still shows it.
TEST(CachePool, AVanishedThreadsHeadIsNotBelieved) {
  StartedBox box;
  Client vanished(*box.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(vanished.allocate(64));
  for (void* block : blocks) vanished.release(block);
  layout::ThreadCache& cache = *vanished.cache();
  const uint32_t stack = layout::own_stack(cache, layout::class_of(64));
  void* const its_own = reinterpret_cast<void*>(cache.head[stack]);
  --cache.top[stack];
  box.engine->repair_in_child(box.client.cache());
  EXPECT_EQ(cache.head[stack], *cache.top[stack]);
  Client next(*box.engine);
  ASSERT_EQ(next.cache(), &cache);
  for (int i = 0; i < 19; ++i) EXPECT_NE(next.allocate(64), its_own);
}

TEST(CachePool, VanishedThreadsLeaveTheirBlocksToNewOnes) {
  StartedBox box;
  auto vanished = std::make_unique<Client>(*box.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(vanished->allocate(64));
  for (void* block : blocks) vanished->release(block);
  layout::ThreadCache* const cache = vanished->cache();
  box.engine->repair_in_child(box.client.cache());
  Client next(*box.engine);
  EXPECT_EQ(next.cache(), cache);
  EXPECT_GT(bytes_in(*cache), 0u);
  std::set<void*> seen;
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(seen.insert(next.allocate(64)).second);
  box.engine->verify();
}

}  // namespace
}  // namespace tide::tests
