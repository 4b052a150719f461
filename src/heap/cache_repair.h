// Makes a thread cache whole again in a forked child, whose thread, or who was draining it, stayed
// in the parent.
#pragma once

#include <cstdint>

#include "layout/thread_cache.h"

namespace tide::heap {

using layout::ThreadCache;

// A vanished thread may have been between two stores.
inline bool is_between_stores(ThreadCache& cache) {
  bool found = false;
  layout::for_each_stack([&](uint32_t stack, uint32_t) {
    uintptr_t* const top = cache.top[stack];
    found = found || top < layout::stack_bottom(cache, stack) || top > cache.limit[stack] ||
            cache.head[stack] != *top;
  });
  return found;
}

// Makes the stacks whole again, also where blocks were just being taken out from outside.
inline void repair(ThreadCache& cache) {
  layout::for_each_stack([&](uint32_t stack, uint32_t) {
    uintptr_t* const bottom = layout::stack_bottom(cache, stack);
    uintptr_t* const top = cache.top[stack];
    uintptr_t* last = bottom;
    if (top <= cache.limit[stack]) {
      for (uintptr_t* slot = bottom + 1 + cache.gone[stack]; slot <= top; ++slot) {
        if (*slot != 0) *++last = *slot;
      }
    }
    layout::set_top(cache, stack, last);
    cache.gone[stack] = 0;
  });
  cache.has_gone = false;
}

}  // namespace tide::heap
