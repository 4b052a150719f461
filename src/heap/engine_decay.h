// Definition of Engine::look. Included where an Engine is instantiated.
//
// What the background does each time that it wakes: see what happened since the last time, and give
// back what nobody has needed for long enough. Memory in reserves (empty slabs, free spans, kept
// mappings) goes by their low-water marks; pages in the middle of slabs go when no block of the
// slab has come or gone for the window; blocks in a thread's cache when the thread has not used it.
#pragma once

#include "heap/cache_contents.h"
#include "heap/engine_purge.h"
#include "heap/engine_trade.h"

namespace tide::heap {

template <sys::VmSource Vm>
bool Engine<Vm>::look() {
  const bool goes_on = base::racy_load(config_.purge) && look_now();
  base::racy_store(is_looked_after_, goes_on);
  return goes_on;
}

template <sys::VmSource Vm>
bool Engine<Vm>::look_now() {
  if (!started() || !purge_lock_.try_lock()) return true;
  purge_figures_.background_turns.fetch_add(1, std::memory_order_relaxed);
  const size_t used = used_bytes();
  size_t idle_bytes = 0;
  const bool changed = caches_.look(idle_bytes) != 0 || used != used_at_look_;
  used_at_look_ = used;
  const bool slot_ends = decay_.look(changed, clean_taken());
  purge_figures_.retaken_bytes.store(decay_.regretted_bytes(), std::memory_order_relaxed);
  const bool idle = decay_.is_idle();
  // A program that polls now and then needs next to nothing, again and again.
  if (idle && !base::racy_load(much_freed_) && idle_bytes < kNoticedBytes) {
    purge_lock_.unlock();
    return false;
  }
  if (idle) base::racy_store(much_freed_, false);
  // Where memory is short nothing is kept for later.
  const bool tight = space_.limits.is_tight();
  const bool all = idle || (tight && slot_ends);
  const uint32_t looks = all ? 0 : decay_.window_looks();
  const auto visit = [this](ThreadCache& other) { drain_lists(other); };
  const uint32_t busy =
      caches_.drain_running(space_, process_, Idle::kStacks, kLeastDrained, looks, visit);
  size_t total = 0;
  if (all) {
    Purger<Vm> purger = this->purger();
    total += caches_.drain_parked(space_, process_, purger, visit);
    process_.collect(space_);
  }
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) total += purge_holes(*zone, looks);
  // Last: by now all slabs without a block in use are there, and neighbours go together.
  if (all || slot_ends) {
    total += purge_reserves(all);
    leave_out_free(idle);
  }
  if (all || slot_ends) lower_trade_mark(all);
  used_at_look_ = used_bytes();
  // What had to go although it is needed says nothing about how long to wait.
  if (!tight) decay_.gave_back(total);
  purge_lock_.unlock();
  return !idle || total != 0 || busy != 0;
}

// What threads free in slow paths counts together; the sum over the heap, some 180 figures, is made
// when it may have come to be enough since the last time, and not while somebody looks anyway.
template <sys::VmSource Vm>
bool Engine<Vm>::wants_look_after_taking(ThreadCache& cache) {
  const size_t taken = cache.taken_bytes - cache.noticed_taken_bytes;
  cache.noticed_taken_bytes = cache.taken_bytes;
  // Who looks anyway sees it. Nor does it say that there is more to give back than before: a
  // program that polls takes a batch each time.
  if (base::racy_load(is_looked_after_)) return false;
  cache.freed_bytes += taken;
  return wants_look_now(cache);
}

template <sys::VmSource Vm>
bool Engine<Vm>::wants_look_now(ThreadCache& cache) {
  const size_t freed = cache.freed_bytes;
  cache.freed_bytes = 0;
  const size_t before = freed_bytes_.fetch_add(freed, std::memory_order_relaxed);
  if (before + freed < base::racy_load(noticed_from_)) return false;
  freed_bytes_.store(0, std::memory_order_relaxed);
  base::racy_store(much_freed_, true);
  if (base::racy_load(is_looked_after_) || space_.limits.is_tight()) return true;
  const auto use = process_.use();
  const size_t returned = space_.small.returned() + space_.mid.returned();
  size_t free_bytes = use.free_bytes > returned ? use.free_bytes - returned : 0;
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    free_bytes += zone->dirty_slabs() * zone->slab_bytes();
  }
  free_bytes += large_.dirty_bytes() + huge_.kept_bytes();
  // Of a small process's slabs most was never touched.
  const size_t footprint = space_.limits.footprint();
  const size_t live = use.used_bytes + large_.live_bytes() + huge_.live_bytes();
  const size_t unused = footprint > live ? footprint - live : 0;
  if (free_bytes > unused) free_bytes = unused;
  free_bytes += process_.depot_bytes();
  caches_.for_each([&](ThreadCache& other) { free_bytes += most_at_hand(other); });
  const size_t missing = free_bytes < kWorthALook ? kWorthALook - free_bytes : 0;
  // Memory that goes to and fro was free before: asking again and again in vain becomes rarer.
  const uint32_t vain = missing == 0 ? 0 : base::racy_load(vain_sums_);
  if (vain < kMostVain) base::racy_store(vain_sums_, missing == 0 ? 0 : vain + 1);
  const size_t least = space_.limits.cache_share(kNoticedBytes << vain);
  base::racy_store(noticed_from_, missing < least ? least : missing);
  return missing == 0;
}

// Of each reserve what was not needed during the window, or all of it. Returns bytes.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_reserves(bool all) {
  Purger<Vm> purger = this->purger();
  size_t total = 0;
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    const uint32_t dirty = zone->dirty_slabs();
    const size_t spare = all ? dirty : zone->low_water().close_slot(dirty);
    if (spare == 0) continue;
    total += zone->purge_pool(purger, static_cast<uint32_t>(spare));
  }
  const size_t dirty = large_.dirty_bytes();
  const size_t spare = all ? dirty : large_.low_water().close_slot(dirty);
  if (spare != 0) total += large_.purge(purger, spare, least_span());
  const size_t kept = huge_.kept_bytes();
  const size_t unneeded = all ? kept : huge_.low_water().close_slot(kept);
  if (unneeded != 0) total += huge_.purge(purger, kept - unneeded);
  return total;
}

// The free pages of slabs where nothing happened for `looks` looks. Returns bytes.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_holes(Zone<Vm>& zone, uint32_t looks) {
  if (looks >= layout::kSettled) looks = layout::kSettled - 1;
  const size_t least_bytes = base::racy_load(config_.purge_least_bytes);
  const bool keeps = keeps_huge_pages();
  SparseHugePages<Vm> sparse(zone);
  size_t total = 0;
  const uint32_t slabs = zone.slabs_seen();
  for (uint32_t index = 0; index < slabs; ++index) {
    layout::Slab& slab = zone.slab(index);
    if (base::published_load(slab.size_class) == 0) continue;
    if (base::racy_load(slab.touched)) {
      base::racy_store(slab.touched, false);
      base::racy_store(slab.age, uint8_t{0});
    }
    const uint8_t age = base::racy_load(slab.age);
    if (age == layout::kSettled) continue;
    if (age < looks) {
      base::racy_store(slab.age, static_cast<uint8_t>(age + 1));
      continue;
    }
    // Asked again at each look: its neighbours may drain.
    if (keeps && base::racy_load(slab.used) != 0 && !sparse.has(index)) continue;
    total += purge_slab_of_any(zone, index, least_bytes);
    base::racy_store(slab.age, layout::kSettled);
  }
  return total + flush_held();
}

}  // namespace tide::heap
