// Definition of CachePool::leave_behind. Included where it is called.
//
// A program whose sizes drift leaves a few blocks of each size that it has used in its cache and in
// depots. They lie anywhere in slabs that are free otherwise, and no other size can use these.
#pragma once

#include "heap/cache_pool.h"

namespace tide::heap {

template <sys::VmSource Vm>
void CachePool<Vm>::leave_behind(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache) {
  const auto place_of_top = [&cache](uint32_t stack) {
    return static_cast<uint16_t>(base::address_of(cache.top[stack]) / sizeof(uintptr_t));
  };
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    const bool is_idle = place_of_top(stack) == cache.left[stack];
    if (is_idle && layout::stack_capacity(cache, stack) != 0) {
      empty_stack(space, heap, cache, stack, c);
      heap.collect(space, c, cache.home);
    }
    cache.left[stack] = place_of_top(stack);
  });
}

}  // namespace tide::heap
