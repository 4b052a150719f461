// A thread's cache: for each size class a stack of addresses of free blocks, and stacks for what it
// frees for other homes, see stacks.h. (As integers:
// compilers make a better malloc of them than of pointers.)
//
// Its thread uses it (and, when that thread is gone, whoever takes it over); heap/cache_drain.h
// takes what lies idle out of it from another thread. The order of stores in heap/fast_path.h keeps
// it valid at every instruction, for forks and for readers from outside.
//
//   slots:  |  0   | block | block |  ...  |
//                              ^ top[c]      ^ limit[c]
//
// An empty stack's top is its slot of 0. `head` repeats the word that top points at: malloc takes
// the block from there, and learns "empty" from a 0; the slots alone say what is in the stack. A
// head of 0 above a slot that is not makes malloc look at the slot in its slow path, nothing more.
// The same 0 stops it above the blocks that were taken out from outside: the `gone` lowest slots. A
// stack begins as a short one; all short ones lie together, so that a thread that needs little of
// each class touches few pages. One that outgrows it moves to its long place for good.
//
// A cache that may not be used (none made yet, thread ended) has every stack empty and full at
// once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/racy.h"
#include "layout/size_classes.h"
#include "layout/span.h"
#include "layout/stacks.h"

namespace tide::layout {

inline constexpr auto kCacheSlotOffset = [] {
  std::array<uint32_t, kClassCount + 1> offsets{};
  uint32_t next = 0;
  for (uint32_t c = 1; c < kClassCount; ++c) {
    offsets[c] = next;
    next += cache_slots(c) + 1;
  }
  offsets[kClassCount] = next;
  return offsets;
}();
// Most blocks in a short stack, and in one for another home. A long place is most of an OS page: a
// thread that holds a MiB in blocks of all sizes should not need one for each of them.
inline constexpr uint32_t kShortSlots = 32;
inline constexpr uint32_t kForeignSlots = 64;

inline constexpr size_t kCacheSlots = kCacheSlotOffset[kClassCount];

// Freed spans of the large zone, a list for each length (span.h), the last one first. They are
// linked by SpanEntry::next.
struct CachedSpans {
  uint32_t count;
  uint32_t pages;   // in all
  uint32_t uses;    // spans that came or went, ever
  uint32_t cursor;  // the length that gave way last
  // What `pages` may be without another look at how much a cache may hold; 0 in a closed front.
  uint32_t most_pages;
  uint32_t long_pages;       // of `pages`, those in long spans, see heap/span_cache.h
  uint32_t most_long_pages;  // what these may be
  uint64_t needed;  // bit for each length of which one was taken since all lengths had their turn
  uint32_t first[kSpanLengths + 1];  // page + 1; 0: none. No span has the last length
};
static_assert(kSpanLengths <= 64);

// Hardened mode: freed blocks that must wait, see heap/waiting.h.
struct WaitingBlocks {
  static constexpr uint32_t kPlaces = 64;
  static constexpr uint32_t kQueue = 192;
  uint32_t first;  // of the queue
  uint32_t count;
  size_t bytes;  // of all
  uintptr_t places[kPlaces];
  uintptr_t queue[kQueue];
};

enum class CacheState : uint8_t { kUnused = 0, kOwned = 1, kParked = 2 };

// Whether another thread is at the cache; its own thread waits while it is, see heap/cache_use.h.
enum Gate : uint32_t { kGateOpen = 0, kGateShut = 1, kGateAwaited = 2 };

// What malloc and free touch.
struct CacheFront {
  uintptr_t* top[kCacheStacks];  // first, so that its index needs no displacement
  uintptr_t* limit[kCacheStacks];
  uintptr_t head[kCacheStacks];  // what top points at, or 0
  // Bytes -> stack for small sizes. A power of two, so that any number can be cut to an index.
  uint8_t small_stack[2048];
  uint8_t mid_stack[kMidTableEntries];  // 128ths of bytes, rounded up -> stack
  CachedSpans spans;
};

struct ThreadCache;
struct SampleMarks;

// A closed front of a thread's own, in front of its cache where every call must take the slow path.
struct ClosedFront : CacheFront {
  ThreadCache* cache;
  uintptr_t null_slots[2];
};

struct ThreadCache : CacheFront {
  CacheState state;
  bool busy;                       // its thread is in a slow path
  bool is_rested;                  // parked and empty
  bool has_gone;                   // some `gone` is not 0
  std::atomic<uint32_t> gate;      // Gate
  int32_t owner;                   // the system's number of its thread
  uint8_t steal_cursor;            // where the next search for an idle stack begins
  uint8_t home;                    // whose slabs of small blocks it draws from
  uint8_t steal_pause;             // so many stacks that would take from others do without
  uint16_t gone[kCacheStacks];     // lowest slots whose blocks were taken out from outside
  bool has_spilled[kCacheStacks];  // since it grew: blocks were given back because it was full
  uint32_t seen[kCacheStacks];     // tops at the last look from outside, in slots
  uint16_t left[kCacheStacks];     // the same when the heap last grew, cut off
  size_t idle_bytes;               // what then could be had of stacks whose tops had not moved
  uint32_t seen_span_uses;         // of `spans`, at that look
  uint32_t idle_looks;             // at which no top had moved, in a row
  size_t freed_bytes;              // by slow paths, since the last notice of it
  size_t taken_bytes;              // by refills, since the cache was emptied from outside
  size_t noticed_taken_bytes;      // of these, at the last notice
  size_t parked_bytes;             // in the stacks when it was parked
  size_t bound_bytes;              // sum over classes of (limit - bottom) * block size
  uint64_t random;                 // hardened mode: what comes out next
  int32_t in_flight;               // and calls that are between a block and its seal
  uint32_t frees;                  // and frees, for the next audit
  uint64_t grown[(kClassCount + 63) / 64];  // classes whose own stack has ever had room
  SampleMarks* marks;                       // while profiles are made, see sample_marks.h
  ThreadCache* next;                        // registry of all caches, never shrinks
  ThreadCache* next_parked;
  uintptr_t null_slot;  // top[0] points here
  uintptr_t short_slots[kClassCount * (kShortSlots + 1)];
  uintptr_t slots[kCacheSlots];
  uintptr_t foreign_slots[kHomeStacks * (kForeignSlots + 1)];
  // Used only in hardened mode, and the second for exact sampling.
  WaitingBlocks waiting;
  ClosedFront closed;
};

// The stack that all sizes have in a closed front. Empty; malloc moves its top for a moment, and
// for that moment it is not full: so it is one that no block has, and free never looks at.
inline constexpr uint8_t kClosedStack = kRetired;
static_assert(class_of_stack(kClosedStack) == 0 && kClosedStack < kFirstHomeStack);

// Entries of a front's tables, which other threads may close meanwhile.
inline void set_entries(uint8_t* entries, uint8_t stack, size_t count) {
  if constexpr (base::kThreadSanitizer) {
    for (size_t i = 0; i < count; ++i) base::racy_store(entries[i], stack);
  } else {
    memset(entries, stack, count);
  }
}

// Sends every malloc of the front's thread to the slow path from its next one on, and frees only
// where they say a size. Any thread may do it at any time, also another process: malloc looks up
// one byte of these, and finds a stack that is empty; and only the thread itself opens them.
inline void close_tables(CacheFront& front) {
  set_entries(front.small_stack, kClosedStack, sizeof front.small_stack);
  set_entries(front.mid_stack, kClosedStack, sizeof front.mid_stack);
}

// Makes a front of zeros one whose stacks are all empty and full, which sends everything to the
// slow path. In place: it is more than there is room for on the stacks of some threads.
constexpr void close_front(CacheFront& front, uintptr_t* null_slot) {
  for (uint8_t& stack : front.small_stack) stack = kClosedStack;
  for (uint8_t& stack : front.mid_stack) stack = kClosedStack;
  for (uintptr_t*& top : front.top) top = null_slot;
  for (uintptr_t*& limit : front.limit) limit = null_slot;
}
constexpr CacheFront closed_front(uintptr_t* null_slot) {
  CacheFront front{};
  close_front(front, null_slot);
  return front;
}

// Whether malloc of `bytes` finds no stack in the front's tables.
inline bool is_table_closed(const CacheFront& front, size_t bytes) {
  if (bytes <= kSmallMaxBytes) return base::racy_load(front.small_stack[bytes]) == kClosedStack;
  return bytes <= kMidMaxBytes &&
         base::racy_load(front.mid_stack[(bytes + 127) / 128]) == kClosedStack;
}

// By runs of sizes that have the same class: a byte at a time it was a quarter of what a new thread
// pays, and a copy would make pages of constants resident.
inline void fill_plain_tables(CacheFront& front, uint32_t home) {
  size_t begin = 0;
  for (uint32_t c = 1; c <= kSmallClasses; ++c) {
    const size_t end = class_bytes(c) + 1;
    set_entries(front.small_stack + begin, stack_of(c, home), end - begin);
    begin = end;
  }
  set_entries(front.mid_stack, kClosedStack, kMidTableEntries);
  begin = kSmallMaxBytes / 128 + 1;
  for (uint32_t c = kSmallClasses + 1; c <= kLastClass; ++c) {
    constexpr size_t kMost = 128 + 128 / kLongLoss;
    const size_t least = (class_bytes(c) + kMost - 1) / kMost;
    const size_t end = class_bytes(c) / 128 + 1;
    if (begin < least) begin = least;
    set_entries(front.mid_stack + begin, static_cast<uint8_t>(c), end - begin);
    begin = end;
  }
}

// The tables of a front whose malloc takes small blocks from `home`'s slabs. With `tail_bytes`, for
// requests that are so much longer; those that are then too long for their zone find nothing.
inline void fill_tables(CacheFront& front, uint32_t home, size_t tail_bytes) {
  if (tail_bytes == 0) {
    fill_plain_tables(front, home);
    return;
  }
  for (size_t i = 0; i < kSmallTableEntries; ++i) {
    const size_t bytes = i + tail_bytes;
    front.small_stack[i] = bytes > kSmallMaxBytes ? kClosedStack : stack_of(class_of(bytes), home);
  }
  for (size_t i = 0; i < kMidTableEntries; ++i) {
    const size_t bytes = i * 128 + tail_bytes;
    front.mid_stack[i] =
        bytes > kClassedMaxBytes ? kClosedStack : static_cast<uint8_t>(class_of(bytes));
  }
}

static_assert(kSmallTableEntries <= sizeof(ThreadCache::small_stack));
static_assert(sizeof(ThreadCache) <= size_t{3} << 18, "addresses; touched as they are used");
// Of a cache whose stacks are no deeper than usual.
inline constexpr size_t kUsualCacheBytes = [] {
  size_t deep = 0;
  for (uint32_t c = 1; c < kClassCount; ++c) deep += cache_slots(c) - usual_slots(c);
  return sizeof(ThreadCache) - deep * sizeof(uintptr_t);
}();

// Where among its slots a stack lies: its null slot.
constexpr size_t short_place(uint32_t c) { return size_t{c} * (kShortSlots + 1); }
constexpr size_t long_place(uint32_t c) { return kCacheSlotOffset[c]; }
constexpr size_t foreign_place(uint32_t stack) {
  return size_t{stack - kFirstHomeStack} * (kForeignSlots + 1);
}

// The null slot below the stack of class `c`, while it is short or long.
inline uintptr_t* short_bottom(ThreadCache& cache, uint32_t c) {
  return &cache.short_slots[short_place(c)];
}
inline uintptr_t* long_bottom(ThreadCache& cache, uint32_t c) {
  return &cache.slots[long_place(c)];
}
inline uintptr_t* foreign_bottom(ThreadCache& cache, uint32_t stack) {
  return &cache.foreign_slots[foreign_place(stack)];
}

// The stack of class `c` that malloc takes from.
inline uint32_t own_stack(const ThreadCache& cache, uint32_t c) { return stack_of(c, cache.home); }
inline bool is_foreign(const ThreadCache& cache, uint32_t stack) {
  return stack >= kFirstHomeStack && home_of_stack(stack) != base::stale_load(cache.home);
}

inline uintptr_t* stack_bottom(ThreadCache& cache, uint32_t stack) {
  if (is_foreign(cache, stack)) return foreign_bottom(cache, stack);
  const uint32_t c = class_of_stack(stack);
  return base::racy_load(cache.limit[stack]) < cache.slots ? short_bottom(cache, c)
                                                           : long_bottom(cache, c);
}

inline uint32_t stack_count(ThreadCache& cache, uint32_t stack) {
  const auto slots =
      static_cast<uint32_t>(base::racy_load(cache.top[stack]) - stack_bottom(cache, stack));
  return slots - base::racy_load(cache.gone[stack]);
}

inline uint32_t stack_capacity(ThreadCache& cache, uint32_t stack) {
  return static_cast<uint32_t>(cache.limit[stack] - stack_bottom(cache, stack));
}

// Ends the stack where `top` is; for its owner in a slow path.
inline void set_top(CacheFront& front, size_t stack, uintptr_t* top) {
  base::racy_store(front.top[stack], top);
  base::racy_store(front.head[stack], base::racy_load(*top));
}
// After the slot that top points at has changed.
inline void renew_head(CacheFront& front, size_t stack) {
  base::racy_store(front.head[stack], base::racy_load(*front.top[stack]));
}

// visit(stack, class) for every stack that may hold blocks.
template <class Visit>
void for_each_stack(Visit visit) {
  for (uint32_t stack = 1; stack < kCacheStacks; ++stack) {
    if (const uint32_t c = class_of_stack(stack)) visit(stack, c);
  }
}

}  // namespace tide::layout
