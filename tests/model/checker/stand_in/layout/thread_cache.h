// In place of src/layout/thread_cache.h: a cache with one stack of few slots. What is written by
// one thread and read by another through a handshake is Plain, so that the handshake is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/align.h"
#include "tests/model/checker/words.h"

namespace tide::layout {

using Slot = checker::Racy<uintptr_t>;

inline constexpr uint32_t kSlots = 3;
inline constexpr uint32_t kMaxBatch = 4;
inline constexpr uint32_t kCacheStacks = 1;
inline constexpr unsigned kSpanPageShift = 12;
inline constexpr unsigned kSmallGranuleShift = 4;
inline constexpr unsigned kMidGranuleShift = 7;
inline constexpr size_t kSmallMaxBytes = 1024;
inline constexpr size_t kMidMaxBytes = 65536;
inline constexpr uint8_t kNotLive = 0;
inline constexpr bool kDetects = false;  // state bytes are the hand-over model's matter

struct ClassInfo {
  uint32_t bytes;
  uint32_t cache_slots;
};
inline constexpr ClassInfo kClassInfo[] = {{16, kSlots}};

enum class CacheState : uint8_t { kUnused = 0, kOwned = 1, kParked = 2 };
enum Gate : uint32_t { kGateOpen = 0, kGateShut = 1, kGateAwaited = 2 };

struct CachedSpans {
  checker::Racy<uint32_t> pages;
  checker::Racy<uint32_t> uses;
  checker::Plain<uint32_t> count;
};

struct CacheFront {
  checker::Racy<Slot*> top[kCacheStacks];
  checker::Racy<Slot*> limit[kCacheStacks];
  checker::Racy<uintptr_t> head[kCacheStacks];
  uint8_t small_stack[2048];
  uint8_t mid_stack[513];
};

struct StackMarks {
  const Slot* fence;
  uintptr_t held;
};
struct SampleMarks {
  StackMarks stacks[kCacheStacks];
};

struct ThreadCache : CacheFront {
  checker::Racy<CacheState> state{CacheState::kOwned};
  checker::Racy<bool> busy;
  checker::Plain<bool> has_gone;
  checker::Atomic<uint32_t> gate;
  CachedSpans spans;
  checker::Plain<uint16_t> gone[kCacheStacks];
  uint32_t seen[kCacheStacks];
  size_t idle_bytes;
  uint32_t seen_span_uses;
  uint32_t idle_looks;
  SampleMarks* marks;  // null: nobody samples
  Slot slots[kSlots + 1];
};

inline Slot* stack_bottom(ThreadCache& cache, uint32_t) { return cache.slots; }
inline bool is_foreign(const ThreadCache&, uint32_t) { return false; }
inline uint32_t stack_capacity(ThreadCache&, uint32_t) { return kSlots; }
inline uint32_t stack_count(ThreadCache& cache, uint32_t stack) {
  const Slot* const top = cache.top[stack].load(checker::Order::relaxed);
  return static_cast<uint32_t>(top - cache.slots) - cache.gone[stack].racy_load();
}
inline void set_top(CacheFront& front, size_t stack, Slot* top) {
  front.top[stack] = top;
  front.head[stack] = static_cast<uintptr_t>(*top);
}
template <class Visit>
void for_each_stack(Visit visit) {
  visit(0u, 0u);
}

}  // namespace tide::layout

// Of words, one by one.
inline void memmove(tide::layout::Slot* to, const tide::layout::Slot* from, size_t bytes) {
  const size_t count = bytes / sizeof *to;
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<uintptr_t>(from[i]);
}
