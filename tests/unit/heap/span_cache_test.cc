// Spans in thread caches: at hand again at once, bounded, and known as free by everyone.
#include "heap/span_cache.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

constexpr size_t kKiB = 1024;
using Kind = heap::PointerInfo::Kind;

TEST(SpanCache, TheSameSizeComesBack) {
  StartedBox box;
  for (const size_t bytes : {65 * kKiB, 300 * kKiB, 2048 * kKiB}) {
    void* const first = box.client.allocate(bytes);
    ASSERT_NE(first, nullptr);
    ASSERT_EQ(box.client.release(first), heap::Released::kDone);
    EXPECT_EQ(box.client.allocate(bytes), first);
    ASSERT_EQ(box.client.release(first), heap::Released::kDone);
    EXPECT_EQ(box.client.allocate_aligned(4096, bytes), first);
    box.client.release(first);
  }
  box.engine->verify();
}

TEST(SpanCache, AnAlignedOneComesBackBehindOthers) {
  StartedBox box;
  constexpr size_t kAlignment = 2048 * kKiB;
  void* const aligned = box.client.allocate_aligned(kAlignment, 300 * kKiB);
  ASSERT_EQ(base::address_of(aligned) % kAlignment, 0u);
  void* const other = box.client.allocate(300 * kKiB);
  void* const third = box.client.allocate(300 * kKiB);
  for (void* block : {aligned, other, third}) box.client.release(block);
  EXPECT_EQ(box.client.allocate_aligned(kAlignment, 300 * kKiB), aligned);
  box.engine->verify();
  EXPECT_EQ(box.client.allocate(300 * kKiB), third);
  EXPECT_EQ(box.client.allocate(300 * kKiB), other);
  EXPECT_EQ(base::address_of(box.client.allocate_aligned(kAlignment, 300 * kKiB)) % kAlignment, 0u);
  box.engine->verify();
}

TEST(SpanCache, NoBlockMuchLongerThanAskedFor) {
  StartedBox box;
  void* const block = box.client.allocate(1024 * kKiB);
  box.client.release(block);
  void* const shorter = box.client.allocate(800 * kKiB);
  EXPECT_LT(box.engine->usable_bytes(shorter), 900 * kKiB);
  box.client.release(box.client.allocate(1024 * kKiB));
  EXPECT_GE(box.engine->usable_bytes(box.client.allocate(960 * kKiB)), 1024 * kKiB);
}

// What lies idle in the thread's lists is joined or cut before the zone takes clean pages.
TEST(SpanCache, ServesOtherLengthsBeforeCleanMemoryDoes) {
  StartedBox box;
  std::vector<char*> blocks;
  for (int i = 0; i < 6; ++i) {
    blocks.push_back(static_cast<char*>(box.client.allocate(320 * kKiB)));
  }
  const char* const low = *std::min_element(blocks.begin(), blocks.end());
  const char* const end = low + 6 * 320 * kKiB;
  const auto is_of_them = [&](void* block) { return block >= low && block < end; };
  for (char* block : blocks) box.client.release(block);
  ASSERT_EQ(box.client.cache()->spans.count, 6u);
  void* const longer = box.client.allocate(1400 * kKiB);
  EXPECT_TRUE(is_of_them(longer));
  EXPECT_EQ(box.client.cache()->spans.count, 0u);
  // Not while something idle in the zone is long enough.
  box.client.release(longer);
  EXPECT_TRUE(is_of_them(box.client.allocate(200 * kKiB)));
  EXPECT_EQ(box.client.cache()->spans.count, 1u);
  EXPECT_FALSE(is_of_them(box.client.allocate(2000 * kKiB)));
  EXPECT_EQ(box.client.cache()->spans.count, 1u) << "too little in all";
  EXPECT_TRUE(is_of_them(box.client.allocate(700 * kKiB)));
  EXPECT_EQ(box.client.cache()->spans.count, 0u);
  box.engine->verify();
}

// All blocks of a length have all its pages, so the last freed serves any of them; of the next
// length one does where there is none, of longer ones none.
TEST(SpanCache, TheLastFreedOfALengthComesFirst) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = 16384 * kKiB;
  StartedBox box({}, config);
  std::vector<void*> blocks;
  for (const size_t pages : {100, 104, 97, 112, 120}) {
    blocks.push_back(box.client.allocate(pages * 4096));
    EXPECT_EQ(box.engine->usable_bytes(blocks.back()), (pages <= 104 ? 104 : pages) * 4096);
  }
  for (void* block : blocks) box.client.release(block);
  box.engine->verify();
  EXPECT_EQ(box.client.allocate(104 * 4096), blocks[2]);
  EXPECT_EQ(box.client.allocate(98 * 4096), blocks[1]);
  EXPECT_EQ(box.client.allocate(100 * 4096), blocks[0]);
  box.engine->verify();
  EXPECT_EQ(box.client.allocate(102 * 4096), blocks[3]) << "of the next length";
  EXPECT_EQ(box.engine->usable_bytes(box.client.allocate(102 * 4096)), 104u * 4096)
      << "not the one after it as it is";
  box.engine->verify();
}

// In hardened mode a block ends where its seal is, whatever its span's length.
TEST(SpanCache, HardenedBlocksEndWhereTheyWereAskedTo) {
  heap::Config config = heap::Config::defaults();
  config.hardened = true;
  StartedBox box({}, config);
  void* const block = box.client.allocate(100 * 4096);
  EXPECT_EQ(box.engine->usable_bytes(block), 100u * 4096);
  EXPECT_EQ(box.engine->whole_bytes(block, 100 * 4096), 104u * 4096);
  char* const behind = static_cast<char*>(block) + 100 * 4096;
  EXPECT_EQ(box.engine->describe(behind - 1).block_bytes, 100u * 4096);
  box.client.release(block);
  EXPECT_EQ(box.client.allocate(98 * 4096 - 1), block);
  EXPECT_EQ(box.engine->usable_bytes(block), 98u * 4096);
  EXPECT_EQ(box.engine->resize(block, 98 * 4096, 103 * 4096), block);
  EXPECT_EQ(box.engine->usable_bytes(block), 103u * 4096);
  EXPECT_EQ(box.engine->whole_bytes(block, 103 * 4096), 103u * 4096);
  box.engine->verify();
  box.client.release(block);
  EXPECT_EQ(box.client.allocate(90 * 4096), block);
  EXPECT_EQ(box.engine->usable_bytes(block), 90u * 4096);
  box.engine->verify();
}

// Blocks of other lengths, which realloc makes, serve the length that they are enough for.
TEST(SpanCache, OneThatWasCutServesAShorterLength) {
  StartedBox box;
  void* const block = box.client.allocate(104 * 4096);
  ASSERT_EQ(box.engine->resize(block, 104 * 4096, 103 * 4096), block);
  box.client.release(block);
  box.engine->verify();
  EXPECT_EQ(box.client.allocate(96 * 4096), block);
  EXPECT_EQ(box.engine->usable_bytes(block), 103u * 4096);
  box.client.release(block);
  EXPECT_EQ(box.engine->usable_bytes(box.client.allocate(103 * 4096)), 104u * 4096)
      << "all pages of its length";
  box.engine->verify();
}

// What the thread does not take again leaves before what it does, and of that the older half.
TEST(SpanCache, WhatIsNeededStaysLongest) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = 16384 * kKiB;
  StartedBox box({}, config);
  std::vector<void*> never;
  for (int i = 0; i < 8; ++i) never.push_back(box.client.allocate(320 * kKiB));
  void* const again = box.client.allocate(512 * kKiB);
  std::vector<void*> others;
  for (int i = 0; i < 4; ++i) others.push_back(box.client.allocate(700 * kKiB));
  for (void* block : never) box.client.release(block);
  for (int i = 0; i < 3; ++i) {
    box.client.release(again);
    ASSERT_EQ(box.client.allocate(512 * kKiB), again);
  }
  box.client.release(again);
  for (void* block : others) box.client.release(block);
  EXPECT_EQ(box.client.allocate(512 * kKiB), again);
  box.engine->verify();
}

TEST(SpanCache, EveryLengthHasAListAndListsDoNotOverlap) {
  uint32_t before = 0;
  for (uint32_t pages = layout::kLeastCachedPages; pages <= layout::kMostCachedPages; ++pages) {
    const uint32_t length = layout::span_length(pages);
    ASSERT_TRUE(length == before || length == before + 1) << pages;
    ASSERT_LT(length, layout::kSpanLengths);
    before = length;
  }
  EXPECT_EQ(before, layout::kSpanLengths - 1);
}

TEST(SpanCache, ASecondFreeIsFound) {
  StartedBox box;
  Client other(*box.engine);
  void* const block = box.client.allocate(200 * kKiB);
  ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  EXPECT_EQ(box.client.release(block), heap::Released::kBad);
  EXPECT_EQ(other.release(block), heap::Released::kBad);
  EXPECT_EQ(box.engine->usable_bytes(block), 0u);
  EXPECT_EQ(box.engine->describe(block).kind, Kind::kFree);
  EXPECT_EQ(box.client.release(static_cast<char*>(block) + 4096), heap::Released::kBad);
}

TEST(SpanCache, BoundedInBytes) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = 4096 * kKiB;
  StartedBox box({}, config);
  std::vector<void*> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back(box.client.allocate((65 + i * 7) * kKiB));
  for (void* block : blocks) {
    ASSERT_EQ(box.client.release(block), heap::Released::kDone);
    const layout::CachedSpans& spans = box.client.cache()->spans;
    ASSERT_LE(spans.pages * size_t{4096}, config.thread_cache_bytes);
    ASSERT_LE(spans.count, spans.pages / layout::kLeastCachedPages);
    box.engine->verify();
  }
  box.engine->verify();
  // With no room nothing is kept.
  heap::Config none = config;
  none.thread_cache_bytes = 0;
  StartedBox small({}, none);
  void* const block = small.client.allocate(400 * kKiB);
  EXPECT_EQ(small.client.release(block), heap::Released::kDone);
  EXPECT_EQ(small.client.cache()->spans.count, 0u);
}

TEST(SpanCache, LongOnesHaveABoundOfTheirOwn) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = 8192 * kKiB;
  StartedBox box({}, config);
  const layout::CachedSpans& spans = box.client.cache()->spans;
  std::vector<void*> blocks;
  for (int i = 0; i < 40; ++i) blocks.push_back(box.client.allocate((300 + i * 20) * kKiB));
  for (void* block : blocks) {
    ASSERT_EQ(box.client.release(block), heap::Released::kDone);
    ASSERT_LE(spans.pages * size_t{4096}, config.thread_cache_bytes / 4);
    ASSERT_EQ(spans.long_pages, spans.pages);
    box.engine->verify();
  }
  // Short ones are kept beside them, up to the bound of all.
  blocks.clear();
  for (int i = 0; i < 30; ++i) blocks.push_back(box.client.allocate(200 * kKiB));
  for (void* block : blocks) box.client.release(block);
  EXPECT_GE((spans.pages - spans.long_pages) * size_t{4096}, 30 * 200 * kKiB);
  box.engine->verify();
}

TEST(SpanCache, OneIsKeptHoweverLong) {
  StartedBox box;
  for (const size_t bytes : {4096 * kKiB, 3000 * kKiB}) {
    void* const block = box.client.allocate(bytes);
    void* const other = box.client.allocate(bytes);
    box.client.release(other);
    box.client.release(block);
    EXPECT_EQ(box.client.cache()->spans.count, 1u);
    void* const small = box.client.allocate(200 * kKiB);
    box.client.release(small);
    EXPECT_EQ(box.client.cache()->spans.count, 2u);
    EXPECT_EQ(box.client.allocate(200 * kKiB), small);
    EXPECT_EQ(box.client.allocate(bytes), block);
    box.engine->verify();
  }
}

// Or what is handed over would lie in vain with whoever drops it.
TEST(SpanCache, AThreadThatOnlyFreesKeepsLittle) {
  StartedBox box;
  Client other(*box.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 60; ++i) blocks.push_back(box.client.allocate((165 + i % 3 * 15) * kKiB));
  const layout::CachedSpans& spans = other.cache()->spans;
  for (void* block : blocks) ASSERT_EQ(other.release(block), heap::Released::kDone);
  EXPECT_LE(spans.pages * size_t{4096}, 512 * kKiB);
  // One that also takes some keeps what it frees.
  blocks.clear();
  for (int i = 0; i < 10; ++i) blocks.push_back(other.allocate(180 * kKiB));
  for (void* block : blocks) other.release(block);
  EXPECT_GE(spans.pages * size_t{4096}, 1800 * kKiB);
  box.engine->verify();
}

TEST(SpanCache, CountsAsCachedAndGoesBackWithPurgeAndAtTheEnd) {
  StartedBox box;
  Client other(*box.engine);
  void* const mine = box.client.allocate(512 * kKiB);
  void* const its = other.allocate(320 * kKiB);
  box.client.release(mine);
  other.release(its);
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.large_live_blocks, 0u);
  EXPECT_EQ(stats.large_live_bytes, 0u);
  EXPECT_EQ(stats.cached_bytes, 832 * kKiB);
  bool any = false;
  const auto visit = [](const heap::BlockInfo&, void* found) {
    return *static_cast<bool*>(found) = true;
  };
  box.engine->visit_blocks(visit, &any);
  EXPECT_FALSE(any);
  other.park();
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.cached_bytes, 512 * kKiB) << "nothing stays behind in a thread that has ended";
  EXPECT_GE(box.client.purge(), 832 * kKiB);
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.cached_bytes, 0u);
  box.engine->verify();
}

TEST(SpanCache, HeapsOfTheirOwnKeepTheirs) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  void* const block = box.engine->heap_allocate(heap, 100 * kKiB, 16, false);
  ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  EXPECT_EQ(box.client.cache()->spans.count, 0u);
  EXPECT_EQ(box.engine->heap_use(heap).live_blocks, 0u);
}

// calloc of what was used before: by writing, or where little is resident by giving the pages back.
TEST(SpanCache, ZeroedWhateverIsInIt) {
  for (const bool sparse : {false, true}) {
    FakeOs::Options options;
    options.sparse = sparse;
    StartedBox box(options);
    for (const size_t bytes : {70 * kKiB, 200 * kKiB + 5, 1000 * kKiB, 40'000 * kKiB}) {
      void* block = box.client.allocate(bytes);
      memset(block, 0x5a, bytes);
      box.client.release(block);
      const uint64_t purges = box.os.calls(VmCall::kPurge);
      block = box.client.allocate_zeroed(bytes);
      EXPECT_EQ(box.os.calls(VmCall::kPurge) - purges, sparse && bytes > 512 * kKiB ? 1u : 0u);
      for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(static_cast<char*>(block)[i], 0) << i;
      box.client.release(block);
    }
    box.os.fail_kind(VmCall::kPurge);
    void* block = box.client.allocate(700 * kKiB);
    memset(block, 0x5a, 700 * kKiB);
    box.client.release(block);
    block = box.client.allocate_zeroed(700 * kKiB);
    EXPECT_EQ(static_cast<char*>(block)[200 * kKiB], 0) << "the system may refuse";
  }
}

}  // namespace
}  // namespace tide::tests
