// Freed blocks of size classes that are not to be used again for a while (hardened mode, from level
// 2 on): a few hundred per thread cache.
//
// They leave in an order that a program can't foresee: a newcomer takes a random place, whoever was
// there moves into a queue. For the cache's own thread while it is in a slow path, or whoever has
// the cache instead (cache_use.h). A fork in here loses a block in the child, and doubles none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "base/racy.h"
#include "heap/shuffle.h"
#include "layout/thread_cache.h"

namespace tide::heap {

using layout::WaitingBlocks;

// Most bytes that wait in one cache, and of one block, for 16 KiB and a seal: larger ones are not
// worth the memory.
inline constexpr size_t kMostWaitingBytes = size_t{128} << 10;
inline constexpr size_t kLargestWaiting = size_t{18} << 10;

// The block that has waited longest; 0 when the queue is empty.
inline uintptr_t take_waiting(WaitingBlocks& waiting) {
  if (waiting.count == 0) return 0;
  const uintptr_t block = waiting.queue[waiting.first];
  base::racy_store(waiting.count, waiting.count - 1);
  base::racy_store(waiting.first, (waiting.first + 1) % WaitingBlocks::kQueue);
  return block;
}

// `block` comes in. Returns who has to leave for it, 0: nobody.
TIDE_INLINE uintptr_t enter_waiting(layout::ThreadCache& cache, void* block) {
  WaitingBlocks& waiting = cache.waiting;
  uintptr_t& place = waiting.places[random_bits(cache) % WaitingBlocks::kPlaces];
  const uintptr_t moved = place;
  base::racy_store(place, base::address_of(block));
  if (moved == 0) return 0;
  if (TIDE_LIKELY(waiting.count == WaitingBlocks::kQueue)) {
    const uint32_t first = waiting.first;
    uintptr_t& slot = waiting.queue[first];
    const uintptr_t leaving = slot;
    base::racy_store(slot, moved);
    base::racy_store(waiting.first, first + 1 == WaitingBlocks::kQueue ? 0 : first + 1);
    return leaving;
  }
  base::racy_store(waiting.queue[(waiting.first + waiting.count) % WaitingBlocks::kQueue], moved);
  base::racy_store(waiting.count, waiting.count + 1);
  return 0;
}

// All of them go into the queue, as far as there is room.
inline void queue_places(WaitingBlocks& waiting) {
  for (uintptr_t& place : waiting.places) {
    if (place == 0) continue;
    if (waiting.count == WaitingBlocks::kQueue) return;
    const uintptr_t block = place;
    base::racy_store(place, uintptr_t{0});
    base::racy_store(waiting.queue[(waiting.first + waiting.count) % WaitingBlocks::kQueue], block);
    base::racy_store(waiting.count, waiting.count + 1);
  }
}

// visit(block) for all that wait, as good as a look from outside can tell.
template <class Visit>
void for_each_waiting(const WaitingBlocks& waiting, Visit visit) {
  for (const uintptr_t& place : waiting.places) {
    if (const uintptr_t block = base::racy_load(place)) visit(block);
  }
  const uint32_t count = base::racy_load(waiting.count);
  for (uint32_t i = 0; i < count && i < WaitingBlocks::kQueue; ++i) {
    const uint32_t slot = (base::racy_load(waiting.first) + i) % WaitingBlocks::kQueue;
    if (const uintptr_t block = base::racy_load(waiting.queue[slot])) visit(block);
  }
}

}  // namespace tide::heap
