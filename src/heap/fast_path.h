// malloc and free as they nearly always go: all of the fast path is in this file.
//
// malloc   table: size -> stack; pop it; mark the block live.
// free     pointer -> granule -> slab's stack; check the state byte, mark not live; push.
//
// A stack's number is the size class, but for the smallest blocks (layout/stacks.h).
//
// What keeps them short:
//  - the calling thread's front always exists: one whose stacks are empty and full at once stands
//    in until there is a cache, so there is no "am I initialised" test;
//  - the topmost block lies in the front as well, in the stack's head, and an empty stack's is
//    0, so popping finds out by itself. The state byte's address then hangs on one load, not on two
//    in a row: loads that follow wait for it (docs/design/17-heap-measured.md);
//  - one compare of the rotated offset with the zone's limit rejects foreign pointers and pointers
//    that are not on a granule: those have their low bits at the top;
//  - one compare of the state byte with the slab's stack answers whether a live block of the
//    process heap starts here: not for a double free, the middle of a block, a special block;
//  - the stack comes from a byte per slab, which is in the CPU's cache, and the state byte is only
//    compared: when it is not in the cache, the next operations go on meanwhile;
//  - the shift that leads malloc to the state byte also says whether there was a block;
//  - malloc reads head and slot after it has moved top: heap/cache_drain.h can then take
//    blocks out of the stacks of a thread that sleeps, and needs neither lock nor fence here;
//  - where frees need more (hardened mode) the limit that they compare with is 0.
// There is no atomic read-modify-write: a block's state byte is written only by whoever owns the
// block at that moment.
//
// The order of stores matters for forks and for readers from outside: a block leaves the live state
// before it appears on a stack, and a slot is written before top covers it.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/compiler.h"
#include "base/racy.h"
#include "heap/space.h"
#include "layout/thread_cache.h"
#include "sys/cpu.h"

namespace tide::heap {

using layout::CacheFront;

// Pushes a block that is not live on a stack that has room above `top`.
TIDE_INLINE void push(CacheFront& front, size_t stack, uintptr_t* top, void* block) {
  TIDE_PIN(stack);
  base::racy_store(top[1], base::address_of(block));
  base::stale_store(front.head[stack], base::address_of(block));
  TIDE_PIN(stack);
  std::atomic_signal_fence(std::memory_order_release);
  sys::move_in_memory<1>(front.top, stack);
}

// Pops a stack and marks the block live; null when the stack is empty.
template <unsigned kShift, class Vm>
TIDE_INLINE void* allocate_in_zone(const Zone<Vm>& zone, CacheFront& front, size_t stack) {
  uintptr_t* top = base::stale_load(front.top[stack]);
  TIDE_PIN(stack);
  sys::move_in_memory<-1>(front.top, stack);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const uintptr_t block = base::stale_load(front.head[stack]);
  uintptr_t shifted = block;
  if (TIDE_UNLIKELY(sys::shift_right_is_zero<kShift>(shifted))) {
    TIDE_PIN(stack);
    base::racy_store(front.top[stack], top);
    return nullptr;
  }
  if (block == 0) __builtin_unreachable();
  TIDE_PIN(stack);
  base::stale_store(front.head[stack], base::racy_load(top[-1]));
  if constexpr (layout::kDetects) {
    base::racy_store(zone.state_of_shifted(shifted), static_cast<uint8_t>(stack));
  }
  return reinterpret_cast<void*>(block);
}

// A block of at least `bytes`, or null when the slow path must find one.
template <class Vm>
TIDE_INLINE void* allocate_fast(const Space<Vm>& space, CacheFront& front, size_t bytes) {
  if (TIDE_LIKELY(bytes <= layout::kSmallMaxBytes)) {
    return allocate_in_zone<layout::kSmallGranuleShift>(space.small, front,
                                                        base::stale_load(front.small_stack[bytes]));
  }
  if (TIDE_LIKELY(bytes <= layout::kMidMaxBytes)) {
    return allocate_in_zone<layout::kMidGranuleShift>(
        space.mid, front, base::stale_load(front.mid_stack[(bytes + 127) / 128]));
  }
  return nullptr;
}

// Pushes a block that must be live and belong to `stack`.
TIDE_INLINE bool release_as(uint8_t* states, CacheFront& front, size_t granule, size_t stack,
                            void* block) {
  uintptr_t* const top = base::stale_load(front.top[stack]);
  TIDE_PIN(stack);
  if (TIDE_UNLIKELY(top == front.limit[stack])) return false;
  if constexpr (layout::kDetects) {
    const uint8_t live = static_cast<uint8_t>(stack);
    if (TIDE_UNLIKELY(base::stale_load(states[granule]) != live)) return false;
    TIDE_PIN(granule);
    base::racy_store(states[granule], static_cast<uint8_t>(layout::kNotLive));
  }
  push(front, stack, top, block);
  return true;
}

template <class Vm>
TIDE_INLINE bool release_in_zone(const Zone<Vm>& zone, CacheFront& front, size_t granule,
                                 void* block) {
  uint8_t* const states = zone.states();
  return release_as(states, front, granule, Zone<Vm>::stack_at(states, granule), block);
}

template <class Vm>
TIDE_INLINE bool release_in_mid(const Space<Vm>& space, CacheFront& front, void* block) {
  const size_t mid = space.mid.template granule_of<layout::kMidGranuleShift>(block);
  return TIDE_LIKELY(mid < space.mid.fast_limit()) && release_in_zone(space.mid, front, mid, block);
}

// False: nothing has changed, the slow path must look at the pointer.
template <class Vm>
TIDE_INLINE bool release_fast(const Space<Vm>& space, CacheFront& front, void* block) {
  const size_t small = space.small.template granule_of<layout::kSmallGranuleShift>(block);
  if (TIDE_LIKELY(small < space.small.fast_limit())) {
    return release_in_zone(space.small, front, small, block);
  }
  return release_in_mid(space, front, block);
}

// The same for a block that was asked for with `bytes`: the stack comes from the table, without a
// test whether `bytes` is in it. A wrong one, or one cut off, fails at the state byte.
template <class Vm>
TIDE_INLINE bool release_fast_sized(const Space<Vm>& space, CacheFront& front, void* block,
                                    size_t bytes) {
  if constexpr (!layout::kDetects) return release_fast(space, front, block);
  const size_t small = space.small.template granule_of<layout::kSmallGranuleShift>(block);
  if (TIDE_LIKELY(small < space.small.fast_limit())) {
    const size_t stack = base::stale_load(front.small_stack[bytes % sizeof front.small_stack]);
    return release_as(space.small.states(), front, small, stack, block);
  }
  return release_in_mid(space, front, block);
}

}  // namespace tide::heap
