// Definition of Engine's function for blocks that wait before they are free. Included where
// hardened mode frees.
#pragma once

#include "heap/engine.h"
#include "heap/shuffle.h"
#include "heap/waiting.h"

namespace tide::heap {

template <sys::VmSource Vm>
template <class Inspect>
TIDE_INLINE void Engine<Vm>::retire_plain(ThreadCache& cache, void* p, const PlainBlock& block,
                                          Inspect inspect) {
  const CacheUse use(&cache);
  base::racy_store(*block.state, static_cast<uint8_t>(layout::kRetired));
  size_t bytes = cache.waiting.bytes + block.bytes();
  base::racy_store(cache.waiting.bytes, bytes);  // for a forked child rather too many than too few
  uintptr_t leaving = enter_waiting(cache, p);
  while (leaving != 0) {
    void* const free = reinterpret_cast<void*>(leaving);
    const PlainBlock its = block_of_class(space_, free);
    bytes -= its.bytes();
    inspect(free, its.bytes());
    if (TIDE_LIKELY(cache.top[its.stack] != cache.limit[its.stack])) {
      base::racy_store(*its.state, static_cast<uint8_t>(layout::kNotLive));
      push_unforeseen(cache, its.stack, cache.top[its.stack], free);
    } else {
      make_free(&cache, free, its);
    }
    leaving = TIDE_UNLIKELY(bytes > kMostWaitingBytes) ? take_waiting(cache.waiting) : 0;
  }
  base::racy_store(cache.waiting.bytes, bytes);
}

}  // namespace tide::heap
