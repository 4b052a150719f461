// What the walker and the debugger rely on: sizes, offsets and state values of the records.
#include <gtest/gtest.h>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <type_traits>

#include "layout/constants.h"
#include "layout/slab.h"
#include "layout/span.h"
#include "layout/thread_cache.h"

namespace tide::layout {
namespace {

static_assert(std::is_standard_layout_v<Slab> && std::is_trivially_copyable_v<Slab>);
static_assert(sizeof(Slab) == 64 && alignof(Slab) == 64);
static_assert(offsetof(Slab, purged) + sizeof(Slab::purged) <= 64);

static_assert(std::is_standard_layout_v<SpanEntry> && std::is_trivially_copyable_v<SpanEntry>);
static_assert(sizeof(SpanEntry) == 16);

static_assert(std::is_trivially_destructible_v<ThreadCache>);
static_assert(kNotLive == 0, "untouched state bytes say: no live block");
static_assert(kFreeZero > kLastClass && kLiveSpecial > kLastClass);
static_assert(kLiveSpecial < kCacheStacks && kFreeZero < kCacheStacks);
static_assert((size_t{kGranulesPerSlab} << kSmallGranuleShift) == 64 * 1024);
static_assert((size_t{kGranulesPerSlab} << kMidGranuleShift) == 512 * 1024);
static_assert(kSmallMaxBytes < kMidMaxBytes && kMidMaxBytes < kLargeMaxBytes);
static_assert(kNoSlab > (size_t{1} << 40) / (64 * 1024), "a window's slabs are numbered below it");

TEST(Records, TopIsTheFirstThingInACache) {
  auto cache = std::make_unique<ThreadCache>();
  EXPECT_EQ(static_cast<void*>(cache->top), static_cast<void*>(cache.get()));
}

TEST(Records, TablesSayTheStackOfEverySize) {
  auto cache = std::make_unique<ThreadCache>();
  for (const uint32_t home : {0u, 5u, kHomes - 1}) {
    fill_tables(*cache, home, 0);
    for (size_t bytes = 0; bytes <= kSmallMaxBytes; ++bytes) {
      ASSERT_EQ(cache->small_stack[bytes], stack_of(class_of(bytes), home)) << bytes;
    }
    for (size_t bytes = kSmallMaxBytes + 1; bytes <= kMidMaxBytes; ++bytes) {
      const uint32_t c = class_of(bytes);
      ASSERT_EQ(cache->mid_stack[(bytes + 127) / 128], c != 0 ? c : kClosedStack) << bytes;
    }
  }
}

TEST(Records, StacksDoNotOverlap) {
  auto cache = std::make_unique<ThreadCache>();
  for (uint32_t c = 1; c < kClassCount; ++c) {
    uintptr_t* const bottom = long_bottom(*cache, c);
    EXPECT_GE(bottom, cache->slots);
    EXPECT_LE(bottom + cache_slots(c), cache->slots + kCacheSlots - 1);
    EXPECT_LT(short_bottom(*cache, c) + kShortSlots, cache->slots);
    if (c < kLastClass) {
      EXPECT_EQ(bottom + cache_slots(c) + 1, long_bottom(*cache, c + 1));
      EXPECT_EQ(short_bottom(*cache, c) + kShortSlots + 1, short_bottom(*cache, c + 1));
    }
    // The limit says which of the two it is, also where a stack has no room at all.
    const uint32_t stack = own_stack(*cache, c);
    for (const uint32_t capacity : {0u, std::min(kShortSlots, cache_slots(c))}) {
      cache->limit[stack] = short_bottom(*cache, c) + capacity;
      EXPECT_EQ(stack_bottom(*cache, stack), short_bottom(*cache, c));
      EXPECT_EQ(stack_capacity(*cache, stack), capacity);
    }
    for (const uint32_t capacity : {0u, cache_slots(c)}) {
      cache->limit[stack] = long_bottom(*cache, c) + capacity;
      EXPECT_EQ(stack_bottom(*cache, stack), long_bottom(*cache, c));
      EXPECT_EQ(stack_capacity(*cache, stack), capacity);
    }
  }
}

TEST(Records, EveryStackHasOneClass) {
  EXPECT_EQ(class_of_stack(kNotLive), 0u);
  EXPECT_EQ(class_of_stack(kFreeZero), 0u);
  EXPECT_EQ(class_of_stack(kLiveSpecial), 0u);
  EXPECT_EQ(class_of_stack(255), 0u);
  EXPECT_EQ(stack_of(0, 5), 0u);
  std::set<uint32_t> seen;
  for (uint32_t home = 0; home < kHomes; ++home) {
    for (uint32_t c = 1; c < kClassCount; ++c) {
      const uint32_t stack = stack_of(c, home);
      EXPECT_EQ(class_of_stack(stack), c);
      if (c <= kSharingClasses) {
        EXPECT_TRUE(seen.insert(stack).second) << "one of its own for each home";
        EXPECT_EQ(home_of_stack(stack), home);
      } else {
        EXPECT_EQ(stack, c) << "the same for all homes";
      }
    }
  }
}

TEST(Records, ClosedFrontIsEmptyAndFullAtOnce) {
  uintptr_t null_slot = 0;
  const CacheFront front = closed_front(&null_slot);
  for (uint32_t stack = 0; stack < kCacheStacks; ++stack) {
    EXPECT_EQ(front.top[stack], front.limit[stack]);
    EXPECT_EQ(*front.top[stack], 0u);
  }
  for (const uint8_t stack : front.small_stack) EXPECT_EQ(stack, kClosedStack);
  for (const uint8_t stack : front.mid_stack) EXPECT_EQ(stack, kClosedStack);
}

}  // namespace
}  // namespace tide::layout
