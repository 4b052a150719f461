// Blocks against guard pages: a few allocations out of very many lie here, each alone on a page
// between two that may not be touched, and on a page like these once it was freed. So an access
// behind the end, before the start or after the free of one of them faults at once, and its two
// stacks can be shown (the idea of Electric Fence, B. Perens 1987, by sampling: GWP-ASan).
//
//   | guard | block | guard | block | guard | ...
//
// Works over any allocator. Any thread may call; an object of static storage. The pool maps its
// pages at the first allocation. Functions keep errno.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/text.h"
#include "ds/lock.h"
#include "layout/heap_root.h"

namespace tide::probe {

class GuardPool {
 public:
  static constexpr uint32_t kSlots = 64;
  static constexpr size_t kMostFrames = 24;

  enum class Found : uint8_t {
    kLive,      // a live block starts there
    kFreed,     // one that was freed
    kInside,    // neither
    kElsewhere  // not an address of the pool
  };

  constexpr GuardPool() = default;

  // A block of `bytes`, `alignment` a power of two; what is in it is zero. Null: too large, no slot
  // is free, or no memory.
  void* allocate(size_t bytes, size_t alignment);

  // Whether `p` is one of the pool's addresses; the question costs two loads.
  bool holds(const void* p) const {
    const uintptr_t base = base_.load(std::memory_order_acquire);
    return base != 0 && reinterpret_cast<uintptr_t>(p) - base < reserved_bytes();
  }
  // `bytes`: what a live block was asked for with.
  Found find(const void* p, size_t& bytes);

  // The block whose page `p` lies on: kLive or kFreed, else kInside with a `block` of 0.
  Found find_around(const void* p, uintptr_t& block, size_t& bytes);

  // Ends a live block's life. Anything but kLive has changed nothing. kLive with `written` set: the
  // bytes between the block's end and its guard page were written to.
  Found release(void* p, bool& written);

  // Lines about the block at or next to `address`, an address of the pool: what happened (`what`
  // may be null: an access that faulted), and the stacks. False when there never was a block.
  bool report(uintptr_t address, const char* what);

  // A live block, in slot order from `slot` on, which then stands behind it. Null: there is none.
  void* next_live(uint32_t& slot, size_t& bytes);

  // For readers from outside.
  static constexpr layout::GuardsAt map();

  // In a forked child.
  void repair_in_child() { lock_.release_in_child(); }

 private:
  enum class State : uint8_t { kUnused, kLive, kFreed };

  struct Stack {
    int32_t thread;
    uint32_t count;
    uintptr_t frames[kMostFrames];
    void capture();
    void show(const char* what) const;
  };
  struct Slot {
    uintptr_t block;
    size_t bytes;
    State state;
    uint32_t next;  // among those that were freed, the oldest first
    Stack allocated;
    Stack freed;
  };

  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr unsigned char kFilling = 0xa5;

  size_t reserved_bytes() const { return (2 * size_t{kSlots} + 1) * page_; }
  uintptr_t page_of(uint32_t slot) const {
    return base_.load(std::memory_order_relaxed) + (2 * size_t{slot} + 1) * page_;
  }
  bool start() TIDE_REQUIRES(lock_);
  uint32_t slot_near(uintptr_t address) const;
  Slot* slot_of(const void* p);
  static bool is_filled(uintptr_t begin, uintptr_t end);
  uint32_t take_slot() TIDE_REQUIRES(lock_);

  ds::Lock<ds::Rank::kGuards> lock_;
  std::atomic<uintptr_t> base_{0};
  size_t page_ = 0;
  Slot* slots_ = nullptr;
  uint32_t used_ = 0;  // slots [used_, kSlots) never had a block
  uint32_t oldest_ TIDE_GUARDED_BY(lock_) = kNone;
  uint32_t newest_ TIDE_GUARDED_BY(lock_) = kNone;
  uint64_t random_ TIDE_GUARDED_BY(lock_) = 0;
};

// Of a class with hidden members it is conditionally supported, and here it is.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
constexpr layout::GuardsAt GuardPool::map() {
  layout::GuardsAt at{};
  at.slots = offsetof(GuardPool, slots_);
  at.used = offsetof(GuardPool, used_);
  at.base = offsetof(GuardPool, base_);
  at.page_bytes = offsetof(GuardPool, page_);
  at.slot_bytes = sizeof(Slot);
  at.most = kSlots;
  at.block = offsetof(Slot, block);
  at.size = offsetof(Slot, bytes);
  at.state = offsetof(Slot, state);
  at.live = static_cast<uint32_t>(State::kLive);
  at.freed = static_cast<uint32_t>(State::kFreed);
  at.allocated = offsetof(Slot, allocated);
  at.released = offsetof(Slot, freed);
  at.thread = offsetof(Stack, thread);
  at.frame_count = offsetof(Stack, count);
  at.frames = offsetof(Stack, frames);
  return at;
}
#pragma GCC diagnostic pop

}  // namespace tide::probe
