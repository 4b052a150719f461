// Definitions of Engine's self-check and of the repair in a forked child. Included where an Engine
// is instantiated.
#pragma once

#include "base/check.h"
#include "heap/engine.h"
#include "heap/large_zone_repair.h"
#include "heap/zone_repair.h"

namespace tide::heap {

template <sys::VmSource Vm>
void Engine<Vm>::verify() {
  const ds::LockGuard no_purge(purge_lock_);  // the background may be at it
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slab_count(); ++index) {
      const layout::Slab& slab = zone->slab(index);
      if (slab.size_class == 0) continue;
      TIDE_ASSERT(slab.size_class < layout::kClassCount, "a slab's size class is one of ours");
      TIDE_ASSERT(Zone<Vm>::stack_at(zone->states(), size_t{index} * layout::kGranulesPerSlab) ==
                      layout::stack_of(slab.size_class, slab.home),
                  "I-SLAB-4: the class map repeats the slab's class");
      const ds::Bitmap4096 free = zone->free_of(index);
      TIDE_ASSERT(slab.carved <= slab.blocks && slab.first + slab.used <= slab.carved,
                  "I-SLAB-1: counts");
      TIDE_ASSERT(slab.first + slab.used + free.count() == slab.carved,
                  "I-SLAB-1: first + used + free == carved");
      uint32_t not_free = 0;
      for (uint32_t granule = 0; granule < layout::kGranulesPerSlab; ++granule) {
        const uint8_t state = zone->state(size_t{index} * layout::kGranulesPerSlab + granule);
        const uint32_t number = granule / slab.granules;
        const bool start =
            granule % slab.granules == 0 && number >= slab.first && number < slab.carved;
        const bool live = layout::is_live_state(state);
        TIDE_ASSERT(!live || start, "I-SLAB-2: a live state byte where no block starts");
        TIDE_ASSERT(!live || state == layout::kLiveSpecial ||
                        layout::class_of_stack(state) == slab.size_class,
                    "I-SLAB-3: a live block's state byte is a stack of its slab's size class");
        TIDE_ASSERT(!free.test(granule) || (start && !live),
                    "I-SLAB-2: a free bit where no free block starts");
        if (start && !free.test(granule)) ++not_free;
      }
      TIDE_ASSERT(not_free == slab.used, "I-SLAB-1: used counts what is not free");
    }
  }
  TIDE_ASSERT(count_footprint() <= space_.limits.footprint(), "I-LIMIT-1: all of it is counted");
  caches_.for_each([this](ThreadCache& cache) { SpanCache<Vm>(large_, cache.spans).verify(); });
  const ds::LockGuard guard(large_.lock());
  uint64_t live = 0;
  uint32_t page = 0;
  while (page < large_.page_count()) {
    const layout::SpanEntry& entry = large_.entry(page);
    TIDE_ASSERT(entry.state != layout::SpanState::kInside && entry.pages != 0, "I-SPAN-1: a head");
    const bool is_live = entry.state == layout::SpanState::kLive;
    if (is_live || entry.state == layout::SpanState::kCached) live += entry.pages;
    page += entry.pages;
  }
  TIDE_ASSERT(page == large_.page_count(), "I-SPAN-1: the last span ends at the zone's end");
  TIDE_ASSERT(live << layout::kSpanPageShift == large_.live_bytes(), "I-SPAN-2: live pages add up");
}

// What a vanished thread was giving back is free. The slabs' counts are made anew afterwards.
template <sys::VmSource Vm>
void Engine<Vm>::put_back_in_child(bool* broken) {
  Zone<Vm>& zone = held_.in_mid ? space_.mid : space_.small;
  for (uint32_t r = 0; r < held_.count; ++r) {
    const HeldRun& run = held_.runs[r];
    layout::Slab& slab = zone.slab(run.slab);
    for (uint32_t i = run.first; i < run.end; ++i) zone.free_of(run.slab).set(i * slab.granules);
    if (run.end == run.first) continue;  // was put back
    // Perhaps they have not gone.
    const size_t unit = zone.purge_unit_bytes();
    zone.forget_purged(slab, run.page_begin / unit, run.page_end / unit);
    if (slab.owner == 0) broken[slab.size_class] = true;
  }
}

// Whether slabs of the heap were being given back by a vanished thread.
template <sys::VmSource Vm>
bool Engine<Vm>::holds_runs_of(uint16_t owner) {
  const Zone<Vm>& zone = held_.in_mid ? space_.mid : space_.small;
  for (uint32_t r = 0; r < held_.count; ++r) {
    if (zone.slab(held_.runs[r].slab).owner == owner) return true;
  }
  return false;
}

// True when a vanished thread was in a class.
template <sys::VmSource Vm>
bool Engine<Vm>::repair_classes(bool was_purging) {
  bool broken[layout::kClassCount] = {};
  if (!purge_lock_.is_mine()) put_back_in_child(broken);
  bool any = was_purging;  // slabs of a zone's pool may have been on their way back
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    for (uint32_t i = 0; i < process_.depots_of(c); ++i) process_.depot(c, i).drop_claims();
    broken[c] = process_.lock(c).release_in_child() || broken[c];
    if (process_.lock(c).is_mine()) broken[c] = false;
    any = any || broken[c];
  }
  // A class's lock is held around the zone's: what the zone was doing belongs to a broken class, or
  // is the hand-over of a slab that had none.
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    if (zone->lock().release_in_child()) any = true;
  }
  if (!any) return false;
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    if (!broken[c]) continue;
    for (uint32_t home = 0; home < process_.homes_of(c); ++home) process_.slabs(c, home).reset();
  }
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slab_count(); ++index) {
      const layout::Slab& slab = zone->slab(index);
      if (slab.owner == 0 && broken[slab.size_class]) {
        process_.slabs(slab.size_class, slab.home).adopt_again(*zone, index);
      }
    }
    if (!zone->lock().is_mine()) zone->rebuild_pools(purge_lock_.is_mine());
  }
  return true;
}

// Whether the calling thread holds a lock behind which memory is taken.
template <sys::VmSource Vm>
bool Engine<Vm>::is_interrupted() {
  if (metadata_.lock().is_mine() || large_.lock().is_mine() || huge_.lock().is_mine()) return true;
  if (space_.small.lock().is_mine() || space_.mid.lock().is_mine()) return true;
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    if (process_.lock(c).is_mine()) return true;
  }
  for (uint32_t id = 1; id <= heaps_.count(); ++id) {
    if (heaps_.by_id(static_cast<uint16_t>(id))->lock.is_mine()) return true;
  }
  return purge_lock_.is_mine();
}

// The thread that forked may be in here itself: its fork came out of a signal handler. What its
// locks protect is left alone, for it goes on from there; nothing here may wait for one of them.
template <sys::VmSource Vm>
void Engine<Vm>::repair_in_child(ThreadCache* mine) {
  start_lock_.release_in_child();
  if (!started()) return;
  caches_.lock().release_in_child();
  caches_.drain_lock().release_in_child();
  bool broken = metadata_.lock().release_in_child();
  heaps_.lock().release_in_child();
  heap_purge_lock_.release_in_child();
  broken = huge_.lock().release_in_child() || broken;
  if (!huge_.lock().is_mine()) huge_.repair_in_child();
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    if (!zone->lock().is_mine()) zone->settle_in_child(space_.vm);
  }
  if (!large_.lock().is_mine()) large_.settle_in_child(space_.vm);
  const bool was_purging = purge_lock_.release_in_child();
  if (repair_classes(was_purging)) broken = true;
  for (uint32_t id = 1; id <= heaps_.count(); ++id) {
    PrivateHeap<Vm>* const heap = heaps_.by_id(static_cast<uint16_t>(id));
    if (!heap->lock.release_in_child() && !holds_runs_of(heap->id)) continue;
    broken = true;
    for (ClassSlabs<Vm>& slabs : heap->slabs) slabs.reset();
    for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
      for (uint32_t index = 0; index < zone->slab_count(); ++index) {
        const layout::Slab& slab = zone->slab(index);
        if (slab.owner == heap->id && slab.size_class != 0) {
          heap->slabs[slab.size_class].adopt_again(*zone, index);
        }
      }
    }
  }
  if (!purge_lock_.is_mine()) held_.clear();
  if ((large_.lock().release_in_child() || was_purging) && !large_.lock().is_mine()) {
    broken = true;
    large_.rebuild(purge_lock_.is_mine());
  }
  // What the interrupted call has been admitted for is in no record yet; without it the footprint
  // stays a little too high.
  if (broken && !is_interrupted()) space_.limits.recount(count_footprint());
  caches_.adopt_vanished(mine);
  caches_.for_each([this](ThreadCache& cache) { SpanCache<Vm>(large_, cache.spans).recount(); });
}

}  // namespace tide::heap
