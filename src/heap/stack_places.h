// Where a stack of a thread cache lies; for its owner.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "base/racy.h"
#include "layout/thread_cache.h"

namespace tide::heap {

using layout::ThreadCache;

// The stacks of a cache that is all zero: none has room. Does not look at their slots: that would
// map the page under each. Who counts what is cached may still look at one that was shelved.
inline void lay_out_stacks(ThreadCache& cache) {
  const auto begin_at = [&cache](uint32_t stack, uintptr_t* bottom) {
    base::racy_store(cache.limit[stack], bottom);
    base::racy_store(cache.top[stack], bottom);
  };
  for (uint32_t stack = 0; stack < layout::kCacheStacks; ++stack) {
    begin_at(stack, &cache.null_slot);
  }
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    uintptr_t* const bottom = layout::is_foreign(cache, stack)
                                  ? layout::foreign_bottom(cache, stack)
                                  : layout::short_bottom(cache, c);
    begin_at(stack, bottom);
  });
}

// To where it may hold more than layout::kShortSlots.
inline void move_to_long_place(ThreadCache& cache, uint32_t c) {
  const uint32_t stack = layout::own_stack(cache, c);
  uintptr_t* const from = layout::stack_bottom(cache, stack);
  uintptr_t* const to = layout::long_bottom(cache, c);
  if (from == to) return;
  const uint32_t count = layout::stack_count(cache, stack);
  memcpy(to + 1, from + 1, count * sizeof *to);
  // A fork between these finds a top outside of its stack, and empties it: adopt_vanished().
  std::atomic_signal_fence(std::memory_order_release);
  base::racy_store(cache.limit[stack], to + (cache.limit[stack] - from));
  layout::set_top(cache, stack, to + count);
}

}  // namespace tide::heap
