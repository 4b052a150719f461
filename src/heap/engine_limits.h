// Definitions of Engine's functions for the limits on the footprint (limits.h). Included where an
// Engine is instantiated.
//
// The hard limit refuses memory where it would become resident; before the program is told, what is
// free anywhere goes back. Above the soft limit growth gives back all that is idle, as far as it
// finds it quickly, caches keep less, and so does the background (engine_decay.h).
#pragma once

#include "heap/engine_purge.h"

namespace tide::heap {

template <sys::VmSource Vm>
void Engine<Vm>::enforce_limits(ThreadCache* cache) {
  const size_t soft = space_.limits.soft();
  const size_t hard = space_.limits.hard();
  const size_t lowest = soft == 0 || (hard != 0 && hard < soft) ? hard : soft;
  if (lowest != 0) purge_to(cache, lowest);
}

template <sys::VmSource Vm>
size_t Engine<Vm>::purge_to(ThreadCache* cache, size_t target_bytes) {
  const Limits& limits = space_.limits;
  if (!started() || limits.excess(target_bytes) == 0) return 0;
  const CacheUse use(cache);
  const ds::LockGuard guard(purge_lock_);
  size_t total = purge_reserves_to(target_bytes);
  if (limits.excess(target_bytes) == 0) return total;
  total += collect_free(cache);
  total += purge_reserves_to(target_bytes);
  total += purge_news(target_bytes, SIZE_MAX);
  // Slabs that turned out to be empty.
  return total + purge_reserves_to(target_bytes);
}

// What is free and costs no search: kept mappings, empty slabs, free spans; until the footprint is
// at most `target_bytes`. purge_lock_ is held.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_reserves_to(size_t target_bytes) {
  const auto excess = [&] { return space_.limits.excess(target_bytes); };
  Purger<Vm> purger = this->purger();
  const size_t kept = huge_.kept_bytes();
  const size_t above = excess();
  size_t total = above == 0 ? 0 : huge_.purge(purger, kept > above ? kept - above : 0);
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    const size_t slabs = (excess() + zone->slab_bytes() - 1) / zone->slab_bytes();
    if (slabs != 0) total += zone->purge_pool(purger, static_cast<uint32_t>(slabs));
  }
  return total + large_.purge(purger, excess());
}

// Gives back the free pages of slabs of which blocks came or went since the last time, until the
// footprint is at most `target_bytes` or `most_visits` slabs, or all, were looked at. purge_lock_
// is held.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_news(size_t target_bytes, size_t most_visits) {
  const uint32_t all = space_.small.slabs_seen() + space_.mid.slabs_seen();
  if (most_visits > all) most_visits = all;
  size_t total = 0;
  for (size_t visit = 0; visit < most_visits; ++visit) {
    if (space_.limits.excess(target_bytes) <= held_.bytes) break;
    if (++news_cursor_ >= all) news_cursor_ = 0;
    uint32_t index = news_cursor_;
    Zone<Vm>& zone = zone_of_number(index);
    layout::Slab& slab = zone.slab(index);
    if (base::published_load(slab.size_class) == 0 || !layout::take_news(slab)) continue;
    total += purge_slab_of_any(zone, index, kAnyPage);
  }
  return total + flush_held();
}

// `bytes` more were refused near the hard limit: gives back what is free until they fit. False:
// hopeless, as things are.
template <sys::VmSource Vm>
bool Engine<Vm>::make_room(ThreadCache* cache, size_t bytes) {
  const Limits& limits = space_.limits;
  const size_t hard = limits.hard();
  // Perhaps frequent: SIZE_MAX and the like.
  if (bytes > hard || huge_.live_bytes() > hard - bytes) return false;
  // Who has it may be giving back just what is missing.
  const ds::LockGuard guard(purge_lock_);
  collect_free(cache);
  purge_reserves_to(0);
  if (!limits.may_refuse(bytes)) return true;
  purge_news(0, SIZE_MAX);
  purge_reserves_to(0);
  return true;
}

// After an allocation of `bytes` failed. True: try again.
template <sys::VmSource Vm>
bool Engine<Vm>::find_room(ThreadCache* cache, size_t bytes) {
  return space_.limits.may_refuse(bytes) ? make_room(cache, bytes) : surrender(cache, bytes);
}

// Growth of `grown_bytes` where memory is short; purge_lock_ is held.
template <sys::VmSource Vm>
void Engine<Vm>::return_harder(ThreadCache& cache, size_t grown_bytes) {
  caches_.drain(space_, process_, cache);
  drain_lists(cache);
  purge_reserves_to(0);
  const size_t excess = space_.limits.soft_excess();
  const size_t wanted = excess > grown_bytes ? excess : grown_bytes;
  const size_t now = space_.limits.footprint();
  purge_news(now > wanted ? now - wanted : 0, grown_bytes / kTradeStep * kVisitsPerStep);
}

// After a free: who comes while another gives back goes on, a later free will do it.
template <sys::VmSource Vm>
void Engine<Vm>::heap_try_give_back(PrivateHeap<Vm>* heap) {
  if (!purge_lock_.try_lock()) return;
  heap_give_back(heap);
  purge_lock_.unlock();
}

// What the heap's freed blocks have left behind goes back: holes in its slabs, slabs that it gave
// up, free spans. purge_lock_ is held.
template <sys::VmSource Vm>
void Engine<Vm>::heap_give_back(PrivateHeap<Vm>* heap) {
  heap->lock.lock();
  const size_t kept = heap->use.kept_bytes;
  heap->use.kept_bytes = 0;
  heap->lock.unlock();
  size_t total = 0;
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    Zone<Vm>& zone = space_.zone_of_class(c);
    for (;;) {
      heap->lock.lock();
      const uint32_t index = heap->slabs[c].take_note_of_free(zone);
      heap->lock.unlock();
      if (index == layout::kNoSlab) break;
      total += purge_slab_of_heap(zone, index, kAnyPage);
      // Others may be freeing all the while; once is enough.
      base::racy_store(zone.slab(index).touched, false);
    }
  }
  Purger<Vm> purger = this->purger();
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    if (total >= kept) break;
    const size_t slabs = (kept - total + zone->slab_bytes() - 1) / zone->slab_bytes();
    total += zone->purge_pool(purger, static_cast<uint32_t>(slabs));
  }
  if (total < kept) large_.purge(purger, kept - total);
}

// The footprint as the records have it; nobody else may be in the engine.
template <sys::VmSource Vm>
size_t Engine<Vm>::count_footprint() {
  size_t total = metadata_.counted_bytes() + large_.metadata_bytes() + large_.live_bytes() +
                 large_.dirty_bytes() + huge_.live_bytes() + huge_.kept_bytes();
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slabs_seen(); ++index) {
      const layout::Slab& slab = zone->slab(index);
      if (slab.size_class != 0) total += zone->counted_bytes(slab);
    }
    total += zone->metadata_bytes() + zone->pool_bytes_now(true);
  }
  return total;
}

}  // namespace tide::heap
