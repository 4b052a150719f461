// What is in a thread's cache, for who looks at it from outside while its owner goes on.
#pragma once

#include <cstdint>

#include "base/racy.h"
#include "layout/constants.h"
#include "layout/size_classes.h"
#include "layout/thread_cache.h"

namespace tide::heap {

// visit(class, count) for every stack of the cache.
template <class Visit>
void for_each_cached_count(layout::ThreadCache& cache, Visit visit) {
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    const uint32_t count = layout::stack_count(cache, stack);
    // A moment's look at a cache in use; a count out of range was caught in the middle.
    if (count <= layout::kClassInfo[c].cache_slots) visit(c, count);
  });
}

// visit(block) for every block in the cache's stacks, while its thread is kept away.
template <class Visit>
void for_each_cached_block(layout::ThreadCache& cache, Visit visit) {
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    const uint32_t count = layout::stack_count(cache, stack);
    if (count > layout::kClassInfo[c].cache_slots) return;  // others are at it
    const uintptr_t* const slots =
        layout::stack_bottom(cache, stack) + 1 + base::racy_load(cache.gone[stack]);
    for (uint32_t i = 0; i != count; ++i) {
      if (const uintptr_t block = base::racy_load(slots[i])) visit(block);
    }
  });
}

inline uint64_t cached_span_count(const layout::ThreadCache& cache) {
  return base::racy_load(cache.spans.count);
}

inline uint64_t cached_span_bytes(const layout::ThreadCache& cache) {
  return uint64_t{base::racy_load(cache.spans.pages)} << layout::kSpanPageShift;
}

// Most that may lie in the cache before its thread is in a slow path again.
inline size_t most_at_hand(const layout::ThreadCache& cache) {
  const size_t bound = base::racy_load(cache.bound_bytes);
  const size_t taken = base::racy_load(cache.taken_bytes);
  return (taken < bound ? taken : bound) + cached_span_bytes(cache);
}

}  // namespace tide::heap
