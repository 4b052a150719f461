// How many blocks a stack of a thread cache has room for; for its owner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "heap/sample_points.h"
#include "heap/stack_places.h"
#include "layout/thread_cache.h"

namespace tide::heap {

// Each search looks at all stacks. Where the bound is too small for all that are in use, they would
// take from each other at every turn.
inline constexpr uint8_t kStealPause = 7;

constexpr bool is_long_class(uint32_t c) { return c >= layout::kFirstLongClass; }
constexpr uint32_t few_blocks(uint32_t c) { return is_long_class(c) ? 2 : 4; }
constexpr uint32_t first_room(uint32_t c) { return layout::is_small_class(c) ? 8 : 2; }
inline bool is_deep(uint32_t capacity, uint32_t c) {
  return capacity > layout::kClassInfo[c].usual_slots;
}

// Makes an empty stack one without room.
inline void take_room(ThreadCache& cache, uint32_t stack) {
  uintptr_t* const bottom = layout::is_foreign(cache, stack)
                                ? layout::foreign_bottom(cache, stack)
                                : layout::short_bottom(cache, layout::class_of_stack(stack));
  base::racy_store(cache.limit[stack], bottom);
  layout::set_top(cache, stack, bottom);
}

// The stacks of a thread that has ended have room for no more than is in them: the next thread's
// batches are as large as it needs them. With those of the largest among many short threads, each
// cache would come to hold that many blocks of all classes.
inline void fit_room(ThreadCache& cache) {
  layout::for_each_stack([&](uint32_t stack, uint32_t c) {
    if (layout::is_foreign(cache, stack)) return;
    uintptr_t* const top = base::racy_load(cache.top[stack]);
    const auto unused = static_cast<size_t>(cache.limit[stack] - top);
    base::racy_store(cache.bound_bytes, cache.bound_bytes - unused * layout::kClassInfo[c].bytes);
    base::racy_store(cache.limit[stack], top);
  });
}

// Takes unused room away from other stacks until `bytes` are free or all had their turn.
inline void steal_room(ThreadCache& cache, uint32_t c, size_t bytes) {
  size_t stolen = 0;
  for (uint32_t tried = 0; tried < layout::kClassCount && stolen < bytes; ++tried) {
    cache.steal_cursor = static_cast<uint8_t>(cache.steal_cursor % layout::kLastClass + 1);
    const uint32_t victim = cache.steal_cursor;
    if (victim == c) continue;
    const uint32_t stack = layout::own_stack(cache, victim);
    open_stack(cache, victim);
    const uint32_t capacity = layout::stack_capacity(cache, stack);
    const uint32_t unused = capacity - layout::stack_count(cache, stack);
    const uint32_t taken = (unused + 1) / 2;
    base::racy_store(cache.limit[stack], cache.limit[stack] - taken);
    close_stack(cache, victim);
    const size_t freed = size_t{taken} * layout::kClassInfo[victim].bytes;
    base::racy_store(cache.bound_bytes, cache.bound_bytes - freed);
    stolen += freed;
  }
}

// Doubles the room of the empty stack of class `c`, as far as its slots and the cache's `share` in
// bytes allow. Beyond the usual only if it has run full since it grew: its thread frees and takes
// as many at once. Slots count nowhere: not where memory `is_limited`.
inline void grow_stack(ThreadCache& cache, uint32_t c, size_t share, bool is_limited) {
  const layout::ClassInfo& info = layout::kClassInfo[c];
  const size_t block_bytes = info.bytes;
  const uint32_t stack = layout::own_stack(cache, c);
  const uint32_t capacity = layout::stack_capacity(cache, stack);
  uint32_t wanted = capacity == 0 ? first_room(c) : capacity * 2;
  const bool may_be_deep = capacity >= info.usual_slots && cache.has_spilled[stack];
  const uint32_t most = may_be_deep && !is_limited ? info.cache_slots : info.usual_slots;
  if (wanted > most) wanted = most;
  if (wanted <= capacity) return;
  if (is_long_class(c) && capacity >= few_blocks(c) && !cache.has_spilled[stack]) return;
  cache.has_spilled[stack] = false;
  cache.grown[c / 64] |= uint64_t{1} << c % 64;
  size_t more = (wanted - capacity) * block_bytes;
  // Deep stacks leave half of it to the others.
  const size_t bound = share / (wanted > info.usual_slots ? 2 : 1);
  // Only a stack that has next to nothing takes from others, and not each time.
  if (cache.bound_bytes + more > bound && capacity < few_blocks(c)) {
    if (cache.steal_pause == 0) {
      steal_room(cache, c, cache.bound_bytes + more - bound);
      cache.steal_pause = kStealPause;
    } else {
      --cache.steal_pause;
    }
  }
  if (cache.bound_bytes + more > bound) {
    const size_t room = bound > cache.bound_bytes ? bound - cache.bound_bytes : 0;
    more = room / block_bytes * block_bytes;
    wanted = capacity + static_cast<uint32_t>(room / block_bytes);
  }
  if (wanted > layout::kShortSlots) move_to_long_place(cache, c);
  base::racy_store(cache.limit[stack], layout::stack_bottom(cache, stack) + wanted);
  base::racy_store(cache.bound_bytes, cache.bound_bytes + more);
}

}  // namespace tide::heap
