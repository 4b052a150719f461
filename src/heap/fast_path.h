// malloc and free as they nearly always go: all of the fast path is in this file.
//
// malloc, small block        table: size -> class; pop the class's stack; mark the block live.
// free                       offset -> granule; state byte -> class; mark not live; push.
//
// What keeps them short:
//  - the calling thread's front always exists: one whose stacks are empty and full at once stands in
//    until there is a cache, so there is no "am I initialised" test;
//  - an empty stack's top is a null pointer, so popping finds out by itself;
//  - one compare of the rotated offset with the zone's limit rejects foreign pointers and pointers
//    that are not on a granule: those have their low bits at the top;
//  - the state byte is the index of the block's stack. For everything that must not be pushed (no
//    block starts here, double free, special block) that stack is always full, so the test for
//    "full" is also the test for "valid".
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

namespace tide::heap {

using layout::CacheFront;

// Pops the stack of class `c`; null when it is empty.
TIDE_INLINE void* pop(CacheFront& front, size_t c) {
  void** const top = front.top[c];
  void* const block = *top;
  if (TIDE_UNLIKELY(block == nullptr)) return nullptr;
  front.top[c] = top - 1;
  return block;
}

// A block of at least `bytes`, or null when the slow path must find one.
template <class Vm>
TIDE_INLINE void* allocate_fast(const Space<Vm>& space, CacheFront& front, size_t bytes) {
  if (TIDE_LIKELY(bytes <= layout::kSmallMaxBytes)) {
    const size_t c = front.small_class[(bytes + 15) / 16];
    void* const block = pop(front, c);
    if (TIDE_UNLIKELY(block == nullptr)) return nullptr;
    base::racy_store(space.small.template state_of<layout::kSmallGranuleShift>(block),
                     static_cast<uint8_t>(c));
    return block;
  }
  if (TIDE_LIKELY(bytes <= layout::kMidMaxBytes)) {
    const size_t c = layout::kMidClassTable[(bytes + 127) / 128];
    void* const block = pop(front, c);
    if (TIDE_UNLIKELY(block == nullptr)) return nullptr;
    base::racy_store(space.mid.template state_of<layout::kMidGranuleShift>(block),
                     static_cast<uint8_t>(c));
    return block;
  }
  return nullptr;
}

template <unsigned kShift, class Vm>
TIDE_INLINE bool release_in_zone(const Zone<Vm>& zone, CacheFront& front, size_t granule,
                                 void* block) {
  uint8_t& state = zone.state(granule);
  const size_t c = base::racy_load(state);
  void** const top = front.top[c];
  if (TIDE_UNLIKELY(top == front.limit[c])) return false;
  base::racy_store(state, static_cast<uint8_t>(layout::kNotLive));
  top[1] = block;
  std::atomic_signal_fence(std::memory_order_release);
  front.top[c] = top + 1;
  return true;
}

// False: nothing has changed, the slow path must look at the pointer.
template <class Vm>
TIDE_INLINE bool release_fast(const Space<Vm>& space, CacheFront& front, void* block) {
  const size_t small = space.small.template granule_of<layout::kSmallGranuleShift>(block);
  if (TIDE_LIKELY(small < space.small.limit())) {
    return release_in_zone<layout::kSmallGranuleShift>(space.small, front, small, block);
  }
  const size_t mid = space.mid.template granule_of<layout::kMidGranuleShift>(block);
  if (TIDE_LIKELY(mid < space.mid.limit())) {
    return release_in_zone<layout::kMidGranuleShift>(space.mid, front, mid, block);
  }
  return false;
}

}  // namespace tide::heap
