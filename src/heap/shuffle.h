// Hardened mode: the order in which a thread cache's blocks come out is one that a program can't
// foresee. For the cache's own thread while it is in a slow path (cache_use.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/compiler.h"
#include "base/racy.h"
#include "base/random_step.h"
#include "heap/fast_path.h"
#include "layout/thread_cache.h"

namespace tide::heap {

TIDE_INLINE uint32_t random_bits(layout::ThreadCache& cache) {
  cache.random = base::random_step(cache.random);
  return static_cast<uint32_t>(cache.random >> 32);
}

// Like push(), but half of the time below the block that was on top. A fork in here loses one of
// them in the child, and never doubles any.
TIDE_INLINE void push_unforeseen(layout::ThreadCache& cache, size_t stack, uintptr_t* top,
                                 void* block) {
  const uintptr_t upper = base::racy_load(*top);  // 0: the stack is empty
  const uintptr_t mine = base::address_of(block);
  // No branch, which would be foreseen wrongly half of the time.
  uintptr_t swaps = uintptr_t{random_bits(cache) >> 31} & uintptr_t{upper != 0};
  TIDE_PIN(swaps);
  const uintptr_t change = (mine ^ upper) & (0 - swaps);
  base::racy_store(*top, upper ^ change);
  push(cache, stack, top, reinterpret_cast<void*>(mine ^ change));
}

// The blocks of a stack that has just been filled. A fork in here finds it empty.
inline void shuffle(layout::ThreadCache& cache, uint32_t stack) {
  const uint32_t count = layout::stack_count(cache, stack);
  uintptr_t* const bottom = layout::stack_bottom(cache, stack);
  layout::set_top(cache, stack, bottom);
  std::atomic_signal_fence(std::memory_order_release);
  for (uint32_t i = count; i > 1; --i) {
    uintptr_t& slot = bottom[1 + (uint64_t{random_bits(cache)} * i >> 32)];
    const uintptr_t block = slot;
    base::racy_store(slot, bottom[i]);
    base::racy_store(bottom[i], block);
  }
  std::atomic_signal_fence(std::memory_order_release);
  layout::set_top(cache, stack, bottom + count);
}

}  // namespace tide::heap
