// Definitions of Engine's functions that give memory back. Included where an Engine is
// instantiated.
//
// Any OS page without a live or cached block can go, also in the middle of a slab: the state of
// free blocks is out of line, so nothing is lost with the page. While a run of free blocks is being
// given back its bits are off, as if somebody had allocated the blocks; no lock that an allocation
// waits for is held across the call. Who gives back holds purge_lock_, one at a time.
#pragma once

#include "heap/engine.h"
#include "heap/huge_pages.h"
#include "heap/large_zone_dump.h"
#include "heap/large_zone_purge.h"
#include "heap/zone_dump.h"
#include "heap/zone_purge.h"

namespace tide::heap {

template <sys::VmSource Vm>
ds::Lock<ds::Rank::kSlabs>& Engine<Vm>::lock_of_slab(uint32_t c, uint16_t owner) {
  return owner == 0 ? process_.lock(c) : heaps_.by_id(owner)->lock;
}

template <sys::VmSource Vm>
ClassSlabs<Vm>& Engine<Vm>::slabs_of(const layout::Slab& slab) {
  const uint32_t c = slab.size_class;
  return slab.owner == 0 ? process_.slabs(c, slab.home) : heaps_.by_id(slab.owner)->slabs[c];
}

// Carves a slab up to `blocks` or its end. Returns the number of carved blocks.
template <sys::VmSource Vm>
uint32_t carve_to(Zone<Vm>& zone, layout::Slab& slab, size_t blocks) {
  const auto last = static_cast<uint32_t>(blocks < slab.blocks ? blocks : slab.blocks);
  if (last > slab.carved) {
    zone.limits().admit_always(zone.carving_bytes(slab, last));
    ClassSlabs<Vm>::mark_carved(zone, zone.index_of(slab), last);
  }
  return slab.carved;
}

// Takes runs of free blocks with at least `least_bytes` of whole pages in them that may be
// resident, as many as held_ has room for. Returns the number of blocks. The slab's lock is held.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::take_free_runs(Zone<Vm>& zone, layout::Slab& slab, size_t least_bytes) {
  const size_t page = space_.vm.page_size();
  const size_t block_bytes = size_t{slab.granules} << zone.shift();
  const size_t unit = zone.purge_unit_bytes();
  ds::Bitmap4096 free = zone.free_of(slab);
  if (zone.is_whole(slab) && slab.carved < slab.blocks) {
    // What was never handed out may be resident all the same: free blocks like others.
    const uint32_t carved = slab.carved;
    const uint32_t end = carve_to(zone, slab, slab.blocks);
    for (uint32_t block = carved; block < end; ++block) free.set(block * slab.granules);
  }
  // Before the first block nothing lives; in a clean slab nothing was touched there either.
  const size_t lowest = zone.is_whole(slab) ? 0 : base::align_down(slab.first * block_bytes, page);
  uint32_t taken = 0;
  uint32_t i = slab.first;
  while (i < slab.carved && !held_.is_full()) {
    const uint32_t granule = free.next_from(i * slab.granules);
    if (granule == ds::Bitmap4096::kBits) break;
    const uint32_t first = granule / slab.granules;
    i = first;
    while (i < slab.carved && free.test(i * slab.granules)) ++i;
    // Nor does anything live behind the last carved one.
    const size_t begin = first == slab.first ? lowest : base::align_up(first * block_bytes, page);
    const size_t end = i == slab.carved ? base::align_up(i * block_bytes, page)
                                        : base::align_down(i * block_bytes, page);
    if (begin + least_bytes > end || end > zone.slab_bytes() ||
        layout::all_purged(slab, begin / unit, end / unit)) {
      continue;
    }
    // The blocks there that reach into its page are taken as well, or somebody could be given one
    // while the page goes.
    if (end > i * block_bytes) i = carve_to(zone, slab, (end + block_bytes - 1) / block_bytes);
    // Blocks just carved were never touched.
    const size_t untouched = base::align_up(i * block_bytes, page);
    const size_t known = untouched > zone.slab_bytes() ? zone.slab_bytes() : untouched;
    held_.add({zone.index_of(slab), static_cast<uint16_t>(first), static_cast<uint16_t>(i),
               static_cast<uint32_t>(begin), static_cast<uint32_t>(end), 0});
    held_.last().counted = static_cast<uint32_t>(zone.mark_purged(
        slab, begin / unit, (known > end && i == slab.carved ? known : end) / unit));
    for (uint32_t block = first; block < i; ++block) free.clear(block * slab.granules);
    taken += i - first;
  }
  return taken;
}

// Takes the free runs of one slab into held_; what was held goes back to the system on the way when
// it is much. A slab without any block in use goes to the zone's pool instead. Best with slabs of
// one zone in ascending order; flush_held() after the last. Returns the bytes given back.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_slab(Zone<Vm>& zone, uint32_t index, uint16_t owner, size_t least_bytes) {
  layout::Slab& slab = zone.slab(index);
  const uint32_t c = base::published_load(slab.size_class);
  if (c == 0) return 0;
  const bool in_mid = &zone == &space_.mid;
  // What is held is of one zone, in ascending order.
  const bool goes_on = held_.count == 0 || (held_.in_mid == in_mid && held_.last().slab < index);
  size_t total = goes_on ? 0 : flush_held();
  held_.in_mid = in_mid;
  for (;;) {
    {
      const ds::LockGuard guard(lock_of_slab(c, owner));
      if (base::published_load(slab.size_class) != c || base::racy_load(slab.owner) != owner) break;
      if (slab.used == 0) {
        slabs_of(slab).drop_empty(zone, index);
        break;
      }
      if (slab.first + slab.used == slab.carved && !zone.is_whole(slab)) break;
      const uint32_t blocks = take_free_runs(zone, slab, least_bytes);
      if (blocks == 0) break;
      slabs_of(slab).account_taken(zone, index, blocks);
    }
    if (held_.bytes < kPurgeBytes && !held_.is_full()) break;
    const size_t gone = flush_held();
    total += gone;
    if (gone == 0) break;
  }
  return total;
}

// Gives back what is held, and the blocks to their slabs.
template <sys::VmSource Vm>
size_t Engine<Vm>::flush_held() {
  if (held_.count == 0) return 0;
  Zone<Vm>& zone = held_.in_mid ? space_.mid : space_.small;
  Purger<Vm> purger = this->purger();
  PurgeBatch<Vm> batch(purger);
  for (uint32_t r = 0; r < held_.count; ++r) {
    const uintptr_t address = zone.slab_address(held_.runs[r].slab);
    batch.add(address + held_.runs[r].page_begin, address + held_.runs[r].page_end);
  }
  batch.flush();
  size_t total = 0;
  for (uint32_t r = 0; r < held_.count; ++r) {
    HeldRun& run = held_.runs[r];
    const bool gone = batch.is_gone(zone.slab_address(run.slab) + run.page_end);
    if (gone) total += run.page_end - run.page_begin;
    layout::Slab& slab = zone.slab(run.slab);
    const ds::LockGuard guard(lock_of_slab(slab.size_class, slab.owner));
    put_back(zone, run, gone, gone && !purger.lazily);
  }
  held_.clear();
  return total;
}

// The blocks of a held run are free again; its slab's lock is held.
template <sys::VmSource Vm>
void Engine<Vm>::put_back(Zone<Vm>& zone, HeldRun& run, bool gone, bool zero) {
  layout::Slab& slab = zone.slab(run.slab);
  const uintptr_t address = zone.slab_address(run.slab);
  const size_t block_bytes = layout::kClassInfo[slab.size_class].bytes;
  const bool is_mid = !layout::is_small_class(slab.size_class);
  const size_t unit = zone.purge_unit_bytes();
  ClassSlabs<Vm>& slabs = slabs_of(slab);
  if (!gone) zone.forget_purged(slab, run.page_begin / unit, run.page_end / unit);
  zone.limits().dismiss(run.counted);
  const bool touched = base::racy_load(slab.touched);
  for (uint32_t i = run.first; i < run.end; ++i) {
    void* const block = reinterpret_cast<void*>(address + i * block_bytes);
    if (zero && is_mid && i * block_bytes >= run.page_begin &&
        (i + 1) * block_bytes <= run.page_end) {
      base::racy_store(zone.state_of_any(block), static_cast<uint8_t>(layout::kFreeZero));
    }
    slabs.give(zone, block);
  }
  base::racy_store(slab.touched, touched);  // by nobody else
  run.end = run.first;
}

// Gives back the free pages of a slab of a first-class heap, which must not be destroyed meanwhile:
// its slabs would be others' before their pages have gone. So this lock is held across madvise, but
// for pages of this one slab only, and nobody but heap_destroy() waits for it.
template <sys::VmSource Vm>
size_t Engine<Vm>::purge_slab_of_heap(Zone<Vm>& zone, uint32_t index, size_t least_bytes) {
  size_t total = flush_held();
  const ds::LockGuard guard(heap_purge_lock_);
  const uint16_t owner = base::racy_load(zone.slab(index).owner);
  total += purge_slab(zone, index, owner, least_bytes);
  return total + flush_held();
}

template <sys::VmSource Vm>
size_t Engine<Vm>::purge_slab_of_any(Zone<Vm>& zone, uint32_t index, size_t least_bytes) {
  return base::published_load(zone.slab(index).owner) == 0
             ? purge_slab(zone, index, 0, least_bytes)
             : purge_slab_of_heap(zone, index, least_bytes);
}

template <sys::VmSource Vm>
Zone<Vm>& Engine<Vm>::zone_of_number(uint32_t& number) {
  const uint32_t small_slabs = space_.small.slabs_seen();
  if (number < small_slabs) return space_.small;
  number -= small_slabs;
  return space_.mid;
}

template <sys::VmSource Vm>
size_t Engine<Vm>::least_span() const {
  return keeps_huge_pages() ? kFewBytes : layout::kSpanPageBytes;
}

// Brings all free blocks that can be reached back into their slabs. Returns bytes given back on the
// way.
template <sys::VmSource Vm>
size_t Engine<Vm>::collect_free(ThreadCache* cache) {
  const auto visit = [this](ThreadCache& other) { drain_lists(other); };
  if (cache != nullptr) {
    caches_.drain(space_, process_, *cache);
    drain_lists(*cache);
  }
  Purger<Vm> purger = this->purger();
  const size_t total = caches_.drain_parked(space_, process_, purger, visit);
  // Threads in the engine are soon out of it.
  constexpr int kMostRounds = 3;
  for (int round = 0; round < kMostRounds; ++round) {
    if (caches_.drain_running(space_, process_, Idle::kAll, 0, 0, visit) == 0) break;
  }
  process_.collect(space_);
  return total;
}

// Memory has run out while `bytes` were wanted: gives up what is free anywhere, mappings and all,
// so that another zone can have it. True: try again.
template <sys::VmSource Vm>
bool Engine<Vm>::surrender(ThreadCache* cache, size_t bytes) {
  const size_t mapped = space_.small.mapped_bytes() + space_.mid.mapped_bytes() +
                        large_.mapped_bytes() + huge_.kept_bytes();
  if (bytes > mapped) return false;  // hopeless, and perhaps frequent: SIZE_MAX and the like
  // Who is giving back has some of it in hand meanwhile.
  const ds::LockGuard guard(purge_lock_);
  collect_free(cache);
  for (uint32_t c = 1; c < layout::kClassCount; ++c) process_.drop_empty(space_, c);
  Purger<Vm> purger = this->purger();
  size_t total = huge_.purge(purger, 0);
  total += space_.small.unmap_pools(space_.vm) + space_.mid.unmap_pools(space_.vm);
  total += large_.unmap_free(space_.vm);
  return total != 0;
}

template <sys::VmSource Vm>
void Engine<Vm>::leave_out_free(bool at_rest) {
  const size_t least = at_rest ? DumpSteps::kLeastResting : DumpSteps::kLeastWorking;
  space_.small.leave_out_free(space_.vm, least);
  space_.mid.leave_out_free(space_.vm, least);
  large_.leave_out_free(space_.vm, least);
}

template <sys::VmSource Vm>
size_t Engine<Vm>::purge(ThreadCache* cache) {
  if (!started()) return 0;
  const CacheUse use(cache);
  const ds::LockGuard guard(purge_lock_);
  size_t total = collect_free(cache);
  Purger<Vm> purger = this->purger();
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    const uint32_t slabs = zone->slabs_seen();
    for (uint32_t index = 0; index < slabs; ++index) {
      total += purge_slab_of_any(*zone, index, kAnyPage);
    }
    total += flush_held();
    total += zone->purge_pool(purger, UINT32_MAX);
  }
  total += large_.purge(purger);
  total += huge_.purge(purger, 0);
  leave_out_free(true);
  return total;
}

}  // namespace tide::heap
