// Definitions of Engine's functions that give memory back. Included where an Engine is
// instantiated.
//
// Any OS page without a live or cached block can go, also in the middle of a slab: the state of
// free blocks is out of line, so nothing is lost with the page. While a run of free blocks is being
// given back its bits are off, as if somebody had allocated the blocks; no lock is held across the
// call.
#pragma once

#include "heap/engine.h"

namespace tide::heap {

// Blocks [first, end) of a slab and the whole OS pages in them, as offsets into the slab.
struct FreeRun {
  uint32_t first;
  uint32_t end;
  size_t page_begin;
  size_t page_end;
};

inline constexpr uint32_t kMostRuns = 64;
inline constexpr size_t kAnyPage = 1;

template <sys::VmSource Vm>
ds::Lock& Engine<Vm>::lock_of_slab(uint32_t c, uint16_t owner) {
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
  if (last > slab.carved) ClassSlabs<Vm>::mark_carved(zone, zone.index_of(slab), last);
  return slab.carved;
}

// Takes runs of free blocks with at least `least_bytes` of whole pages in them that may be
// resident; at most kMostRuns. The slab's lock is held.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::take_free_runs(Zone<Vm>& zone, layout::Slab& slab, size_t least_bytes,
                                    FreeRun* runs) {
  const size_t page = space_.vm.page_size();
  const size_t block_bytes = size_t{slab.granules} << zone.shift();
  const size_t unit = zone.purge_unit_bytes();
  if (slab.used_before && slab.carved < slab.blocks) {
    // What was never handed out may be resident from the slab's last use: free blocks like others.
    const uint32_t carved = slab.carved;
    const uint32_t end = carve_to(zone, slab, slab.blocks);
    for (uint32_t block = carved; block < end; ++block) slab.free.set(block * slab.granules);
  }
  uint32_t count = 0;
  uint32_t i = slab.first;
  while (i < slab.carved && count < kMostRuns) {
    if (!slab.free.test(i * slab.granules)) {
      ++i;
      continue;
    }
    const uint32_t first = i;
    while (i < slab.carved && slab.free.test(i * slab.granules)) ++i;
    const size_t begin = base::align_up(first * block_bytes, page);
    // Behind the last carved block nothing lives.
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
    zone.set_purged(slab, begin / unit, (known > end && i == slab.carved ? known : end) / unit,
                    true);
    for (uint32_t block = first; block < i; ++block) slab.free.clear(block * slab.granules);
    runs[count++] = {first, i, begin, end};
  }
  return count;
}

// True when there may be more to give back in this slab.
template <sys::VmSource Vm>
bool Engine<Vm>::purge_slab(Zone<Vm>& zone, uint32_t index, uint16_t owner, size_t least_bytes,
                            size_t& total) {
  layout::Slab& slab = zone.slab(index);
  const uint32_t c = base::published_load(slab.size_class);
  if (c == 0) return false;
  const size_t before = total;
  FreeRun runs[kMostRuns];
  uint32_t count = 0;
  ds::Lock& lock = lock_of_slab(c, owner);
  {
    const ds::LockGuard guard(lock);
    if (base::published_load(slab.size_class) != c || base::racy_load(slab.owner) != owner ||
        slab.first + slab.used == slab.carved) {
      return false;
    }
    count = take_free_runs(zone, slab, least_bytes, runs);
    uint32_t blocks = 0;
    for (uint32_t r = 0; r < count; ++r) blocks += runs[r].end - runs[r].first;
    slabs_of(slab).account_taken(zone, index, blocks);
  }
  const uintptr_t address = zone.slab_address(index);
  const size_t block_bytes = layout::kClassInfo[c].bytes;
  for (uint32_t r = 0; r < count; ++r) {
    const FreeRun& run = runs[r];
    const size_t bytes = run.page_end - run.page_begin;
    const bool gone = space_.vm.purge(reinterpret_cast<void*>(address + run.page_begin), bytes);
    if (gone) {
      total += bytes;
      purge_calls_.fetch_add(1, std::memory_order_relaxed);
    }
    const ds::LockGuard guard(lock);
    const size_t unit = zone.purge_unit_bytes();
    if (!gone) zone.set_purged(slab, run.page_begin / unit, run.page_end / unit, false);
    for (uint32_t i = run.first; i < run.end; ++i) {
      void* const block = reinterpret_cast<void*>(address + i * block_bytes);
      if (gone && !layout::is_small_class(c) && i * block_bytes >= run.page_begin &&
          (i + 1) * block_bytes <= run.page_end) {
        base::racy_store(zone.state_of_any(block), static_cast<uint8_t>(layout::kFreeZero));
      }
      slabs_of(slab).give(zone, block);
    }
  }
  return count == kMostRuns && total != before;
}

// Brings all free blocks that can be reached back into their slabs, and empty slabs into the pools.
template <sys::VmSource Vm>
void Engine<Vm>::collect_free(ThreadCache* cache) {
  if (cache != nullptr) {
    caches_.drain(space_, process_, *cache);
    SpanCache<Vm>(large_, cache->spans).drain();
  }
  caches_.drain_parked(space_, process_, [this](ThreadCache& parked) {
    SpanCache<Vm>(large_, parked.spans).drain();
  });
  for (uint32_t c = 1; c < layout::kClassCount; ++c) process_.collect(space_, c);
}

// Memory has run out while `bytes` were wanted: gives up what is free anywhere, mappings and all,
// so that another zone can have it. True: try again.
template <sys::VmSource Vm>
bool Engine<Vm>::surrender(ThreadCache* cache, size_t bytes) {
  const size_t mapped = space_.small.mapped_bytes() + space_.mid.mapped_bytes() +
                        large_.mapped_bytes() + huge_.kept_bytes();
  if (bytes > mapped) return false;  // hopeless, and perhaps frequent: SIZE_MAX and the like
  collect_free(cache);
  size_t total = huge_.purge(space_.vm, 0);
  total += space_.small.unmap_pools(space_.vm) + space_.mid.unmap_pools(space_.vm);
  total += large_.unmap_free(space_.vm);
  return total != 0;
}

template <sys::VmSource Vm>
size_t Engine<Vm>::purge(ThreadCache* cache) {
  if (!started()) return 0;
  collect_free(cache);
  size_t total = 0;
  uint64_t calls = 0;
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slab_count(); ++index) {
      if (base::published_load(zone->slab(index).owner) == 0) {
        while (purge_slab(*zone, index, 0, kAnyPage, total)) {
        }
      } else {
        // Its heap must not be destroyed meanwhile.
        const ds::LockGuard guard(heap_purge_lock_);
        const uint16_t owner = base::racy_load(zone->slab(index).owner);
        while (purge_slab(*zone, index, owner, kAnyPage, total)) {
        }
      }
    }
    total += zone->purge_pool(space_.vm, calls);
  }
  total += large_.purge(space_.vm, calls);
  total += huge_.purge(space_.vm, 0);
  purge_calls_.fetch_add(calls, std::memory_order_relaxed);
  purged_bytes_.fetch_add(total, std::memory_order_relaxed);
  return total;
}

}  // namespace tide::heap
