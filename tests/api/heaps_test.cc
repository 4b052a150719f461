// First-class heaps and the visit of every block.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "tide/tide.h"

namespace {

class Heaps : public testing::Test {
 protected:
  void SetUp() override {
    heap_ = tide_heap_create(0);
    ASSERT_NE(heap_, nullptr);
  }
  void TearDown() override { tide_heap_destroy(heap_); }

  tide_heap_t* heap_ = nullptr;
};

constexpr size_t kSizes[] = {
    0, 1, 16, 100, 1024, 1025, 40000, 65536, 65537, 300000, size_t{3} << 20, size_t{40} << 20};

TEST_F(Heaps, BlocksOfEverySizeKnowTheirHeap) {
  for (const size_t size : kSizes) {
    void* const p = tide_heap_malloc(heap_, size);
    ASSERT_NE(p, nullptr) << size;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 16, 0u);
    EXPECT_GE(malloc_usable_size(p), size);
    EXPECT_EQ(tide_heap_of(p), heap_) << size;
    memset(p, 0x5a, malloc_usable_size(p));
    free(p);
  }
  void* const p = malloc(100);
  EXPECT_EQ(tide_heap_of(p), nullptr);
  EXPECT_EQ(tide_heap_of(nullptr), nullptr);
  free(p);
}

TEST_F(Heaps, FiguresFollowTheBlocks) {
  EXPECT_EQ(tide_heap_get_stats(heap_).live_blocks, 0u);
  std::vector<void*> blocks;
  size_t bytes = 0;
  for (const size_t size : kSizes) {
    blocks.push_back(tide_heap_malloc(heap_, size));
    bytes += malloc_usable_size(blocks.back());
  }
  EXPECT_EQ(tide_heap_get_stats(heap_).live_blocks, blocks.size());
  EXPECT_EQ(tide_heap_get_stats(heap_).live_bytes, bytes);
  for (void* p : blocks) free(p);
  EXPECT_EQ(tide_heap_get_stats(heap_).live_blocks, 0u);
  EXPECT_EQ(tide_heap_get_stats(heap_).live_bytes, 0u);
}

TEST_F(Heaps, CallocAlignedAllocRealloc) {
  for (int round = 0; round < 3; ++round) {
    auto* const zeroed = static_cast<unsigned char*>(tide_heap_calloc(heap_, 100, 77));
    ASSERT_NE(zeroed, nullptr);
    for (size_t i = 0; i < 7700; ++i) ASSERT_EQ(zeroed[i], 0);
    memset(zeroed, 0xff, 7700);
    free(zeroed);
  }
  errno = 0;
  EXPECT_EQ(tide_heap_calloc(heap_, SIZE_MAX, 2), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  for (size_t alignment = 1; alignment <= size_t{1} << 22; alignment *= 2) {
    void* const p = tide_heap_aligned_alloc(heap_, alignment, 50);
    ASSERT_NE(p, nullptr) << alignment;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
    EXPECT_EQ(tide_heap_of(p), heap_);
    tide_free(p);
  }
  errno = 0;
  EXPECT_EQ(tide_heap_aligned_alloc(heap_, 48, 50), nullptr);
  EXPECT_EQ(errno, EINVAL);

  auto* p = static_cast<char*>(tide_heap_realloc(heap_, nullptr, 10));
  memcpy(p, "123456789", 10);
  for (const size_t size : kSizes) {
    if (size < 10) continue;
    p = static_cast<char*>(tide_heap_realloc(heap_, p, size));
    ASSERT_NE(p, nullptr) << size;
    EXPECT_STREQ(p, "123456789") << size;
    EXPECT_EQ(tide_heap_of(p), heap_) << size;
  }
  // Plain realloc stays in the heap too.
  p = static_cast<char*>(realloc(p, 20));
  EXPECT_STREQ(p, "123456789");
  EXPECT_EQ(tide_heap_of(p), heap_);
  EXPECT_EQ(tide_heap_realloc(heap_, p, 0), nullptr);
  EXPECT_EQ(tide_heap_get_stats(heap_).live_blocks, 0u);
}

TEST_F(Heaps, ReallocOfAnotherHeapsBlockIsRefused) {
  void* const p = malloc(10);
  errno = 0;
  EXPECT_EQ(tide_heap_realloc(heap_, p, 100), nullptr);
  EXPECT_EQ(errno, EINVAL);
  free(p);
}

TEST_F(Heaps, TooLargeFailsWithEnomem) {
  for (const size_t size : {SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2 + 1}) {
    errno = 0;
    EXPECT_EQ(tide_heap_malloc(heap_, size), nullptr);
    EXPECT_EQ(errno, ENOMEM);
  }
  EXPECT_EQ(tide_heap_get_stats(heap_).live_bytes, 0u);
}

TEST(HeapLimit, HoldsForEverySize) {
  for (const size_t size : {size_t{16}, size_t{1000}, size_t{50000}, size_t{200000},
                            size_t{2} << 20, size_t{40} << 20}) {
    const size_t limit = size * 20;
    tide_heap_t* const heap = tide_heap_create(limit);
    ASSERT_NE(heap, nullptr);
    EXPECT_EQ(tide_heap_get_limit(heap), limit);
    std::vector<void*> blocks;
    for (;;) {
      errno = 0;
      void* const p = tide_heap_malloc(heap, size);
      if (p == nullptr) break;
      blocks.push_back(p);
      ASSERT_LE(tide_heap_get_stats(heap).live_bytes, limit);
      ASSERT_LE(blocks.size(), 20u);
    }
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_GE(blocks.size(), 17u) << size;
    // What is freed may be used again, and the process's heap knows no such limit.
    free(blocks.back());
    blocks.back() = tide_heap_malloc(heap, size);
    EXPECT_NE(blocks.back(), nullptr);
    tide_heap_set_limit(heap, limit * 2);
    void* const more = tide_heap_malloc(heap, size);
    EXPECT_NE(more, nullptr);
    tide_heap_set_limit(heap, size);
    EXPECT_EQ(tide_heap_malloc(heap, size), nullptr);
    tide_heap_set_limit(heap, 0);
    EXPECT_EQ(tide_heap_get_limit(heap), 0u);
    EXPECT_NE(tide_heap_malloc(heap, size), nullptr);
    tide_heap_destroy(heap);
  }
}

TEST(HeapLimit, HoldsForRealloc) {
  for (const size_t size : {size_t{1000}, size_t{100000}, size_t{2} << 20, size_t{40} << 20}) {
    tide_heap_t* const heap = tide_heap_create(size * 4);
    void* p = tide_heap_malloc(heap, size);
    ASSERT_NE(p, nullptr);
    errno = 0;
    EXPECT_EQ(tide_heap_realloc(heap, p, size * 8), nullptr) << size;
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(realloc(p, size * 8), nullptr) << size;
    EXPECT_LE(tide_heap_get_stats(heap).live_bytes, size * 4);
    EXPECT_EQ(tide_heap_get_stats(heap).live_bytes, malloc_usable_size(p));
    p = tide_heap_realloc(heap, p, size * 2);
    ASSERT_NE(p, nullptr) << size;
    EXPECT_EQ(tide_heap_get_stats(heap).live_bytes, malloc_usable_size(p));
    EXPECT_EQ(tide_heap_get_stats(heap).live_blocks, 1u);
    tide_heap_destroy(heap);
  }
}

TEST(HeapDestroy, FreesEverythingAtOnce) {
  tide_heap_destroy(nullptr);
  tide_stats before{};
  for (int round = 0; round < 20; ++round) {
    tide_heap_t* const heap = tide_heap_create(0);
    ASSERT_NE(heap, nullptr);
    for (int i = 0; i < 1000; ++i) {
      for (const size_t size : {size_t{24}, size_t{2000}, size_t{9000}}) {
        void* const p = tide_heap_malloc(heap, size);
        ASSERT_NE(p, nullptr);
        memset(p, 1, size);
      }
    }
    for (int i = 0; i < 4; ++i) {
      ASSERT_NE(tide_heap_malloc(heap, size_t{1} << 20), nullptr);
      ASSERT_NE(tide_heap_malloc(heap, size_t{40} << 20), nullptr);
    }
    tide_heap_destroy(heap);
    tide_stats after{};
    ASSERT_EQ(tide_stats_get(&after, sizeof after), 0);
    if (round == 2) before = after;
    if (round > 2) {
      EXPECT_LE(after.live_bytes, before.live_bytes + 4096);
      EXPECT_LE(after.mapped_bytes, before.mapped_bytes + (size_t{4} << 20));
    }
  }
}

TEST(HeapThreads, AllMayAllocateAndAnyMayFree) {
  tide_heap_t* const heap = tide_heap_create(0);
  std::atomic<void*> exchange[64] = {};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      unsigned seed = t * 7919 + 1;
      for (int i = 0; i < 20000; ++i) {
        seed = seed * 1664525 + 1013904223;
        const size_t size = 1 + (seed >> 8) % ((seed & 63) == 0 ? 200000 : 2000);
        auto* p = static_cast<unsigned char*>(tide_heap_malloc(heap, size));
        ASSERT_NE(p, nullptr);
        p[0] = p[size - 1] = 0x77;
        free(exchange[(seed >> 20) % 64].exchange(p));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& slot : exchange) free(slot.load());
  EXPECT_EQ(tide_heap_get_stats(heap).live_blocks, 0u);
  EXPECT_EQ(tide_heap_get_stats(heap).live_bytes, 0u);
  tide_heap_destroy(heap);
}

struct Seen {
  tide_block* blocks;
  size_t count;
  size_t room;
};

int note(const tide_block* block, void* argument) {
  auto& seen = *static_cast<Seen*>(argument);
  if (seen.count == seen.room) return 0;
  seen.blocks[seen.count++] = *block;
  return 1;
}

TEST(VisitBlocks, SeesEachLiveBlockOnceAndNoOther) {
  tide_heap_t* const heap = tide_heap_create(0);
  constexpr size_t kRoom = 200000;
  std::vector<tide_block> room(kRoom);
  std::set<void*> mine;
  std::set<void*> gone;
  for (const size_t size : kSizes) {
    mine.insert(malloc(size));
    mine.insert(tide_heap_malloc(heap, size));
    void* const freed = malloc(size);
    void* const freed_too = tide_heap_malloc(heap, size);
    gone.insert(freed);
    gone.insert(freed_too);
    free(freed);
    free(freed_too);
  }
  for (void* p : mine) gone.erase(p);
  Seen seen{room.data(), 0, kRoom};
  EXPECT_EQ(tide_heap_walk(note, &seen), 1);
  std::map<void*, int> times;
  for (size_t i = 0; i < seen.count; ++i) {
    const tide_block& block = room[i];
    if (mine.count(block.address) == 0) continue;
    ++times[block.address];
    EXPECT_EQ(block.usable_bytes, malloc_usable_size(block.address));
    EXPECT_EQ(block.heap, tide_heap_of(block.address));
    EXPECT_TRUE(block.class_bytes == 0 || block.class_bytes == block.usable_bytes);
  }
  EXPECT_EQ(times.size(), mine.size());
  for (const auto& [address, count] : times) EXPECT_EQ(count, 1) << address;
  for (size_t i = 0; i < seen.count; ++i) {
    EXPECT_EQ(gone.count(room[i].address), 0u) << room[i].usable_bytes;
  }
  Seen few{room.data(), 0, 3};
  EXPECT_EQ(tide_heap_walk(note, &few), 0);
  EXPECT_EQ(few.count, 3u);
  for (void* p : mine) free(p);
  tide_heap_destroy(heap);
}

}  // namespace
