// Definitions of Engine's functions for samples. Included where an Engine is instantiated.
#pragma once

#include "heap/engine.h"
#include "heap/sample_points.h"

namespace tide::heap {

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_of_class(ThreadCache* cache, uint32_t c, bool& zeroed) {
  if (TIDE_LIKELY(cache == nullptr || cache->marks == nullptr)) {
    return allocate_without_marks(cache, c, zeroed);
  }
  SamplePoints points(*cache);
  points.open(c);
  void* const block = allocate_without_marks(cache, c, zeroed);
  if (TIDE_LIKELY(points.stays_bare(c))) return block;
  if (block != nullptr) points.draw_sample(c);
  points.close(c);
  return block;
}

// For one more block in a stack of the cache.
template <sys::VmSource Vm>
bool Engine<Vm>::make_room_in_stack(ThreadCache& cache, uint32_t stack) {
  if (TIDE_UNLIKELY(cache.marks != nullptr) && !layout::is_foreign(cache, stack)) {
    SamplePoints(cache).open(layout::class_of_stack(stack));
    if (cache.top[stack] != cache.limit[stack]) return true;
  }
  return caches_.make_room(space_, process_, config_, cache, stack);
}

template <sys::VmSource Vm>
void Engine<Vm>::mark_sampled(void* block) {
  if (!layout::kDetects) return;
  if (Zone<Vm>* zone = space_.zone_of(block)) {
    base::racy_store(zone->state_of_any(block), static_cast<uint8_t>(layout::kLiveSpecial));
  }
}

template <sys::VmSource Vm>
bool Engine<Vm>::start_sampling(ThreadCache& cache, int64_t gap_bytes, bool counts_calls) {
  const CacheUse use(&cache);
  if (!caches_.enter_marks(space_, metadata_, cache)) return false;
  // Caches and marks go from one short thread to the next, and each of them needs other samples.
  uint64_t seed = cache.marks->random;
  if (seed == 0) seed = space_.vm.random_seed() ^ base::address_of(&cache);
  SamplePoints(cache).start(gap_bytes, base::mix(seed), counts_calls);
  return true;
}

template <sys::VmSource Vm>
void Engine<Vm>::stop_sampling(ThreadCache& cache) {
  const CacheUse use(&cache);
  caches_.leave_marks(cache);
}

// Under the lock none of the caches goes to the shelf meanwhile.
template <sys::VmSource Vm>
void Engine<Vm>::call_all_threads() {
  const ds::LockGuard guard(caches_.drain_lock());
  caches_.for_each([](ThreadCache& cache) {
    if (base::racy_load(cache.state) == layout::CacheState::kOwned) layout::close_tables(cache);
  });
}

template <sys::VmSource Vm>
void Engine<Vm>::reopen_tables(ThreadCache& cache, size_t bytes) {
  const bool stays = cache.marks != nullptr && cache.marks->counts_calls;
  if (!stays && layout::is_table_closed(cache, bytes)) layout::fill_tables(cache, cache.home, 0);
}

}  // namespace tide::heap
