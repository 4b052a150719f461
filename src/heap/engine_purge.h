// Definitions of Engine's functions that give memory back. Included where an Engine is instantiated.
//
// Any OS page without a live or cached block can go, also in the middle of a slab: the state of free
// blocks is out of line, so nothing is lost with the page. While a run of free blocks is being given
// back its bits are off, as if somebody had allocated the blocks; no lock is held across the call.
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

template <sys::VmSource Vm>
ds::Lock& Engine<Vm>::lock_of_slab(uint32_t c, uint16_t owner) {
  return owner == 0 ? process_.lock(c) : heaps_.by_id(owner)->lock;
}

template <sys::VmSource Vm>
ClassSlabs<Vm>& Engine<Vm>::slabs_of(uint32_t c, uint16_t owner) {
  return owner == 0 ? process_.slabs(c) : heaps_.by_id(owner)->slabs[c];
}

// Takes runs of free blocks with at least one whole page in them that may be resident; at most
// kMostRuns. The slab's lock is held.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::take_free_runs(Zone<Vm>& zone, layout::Slab& slab, FreeRun* runs) {
  const size_t page = space_.vm.page_size();
  const size_t block_bytes = size_t{slab.granules} << zone.shift();
  const size_t unit = zone.slab_bytes() / 128;
  uint32_t count = 0;
  uint32_t i = 0;
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
    if (begin >= end || end > zone.slab_bytes()) continue;
    bool resident = false;
    for (size_t u = begin / unit; u < end / unit; ++u) {
      if (((slab.purged[u / 64] >> (u % 64)) & 1) == 0) {
        resident = true;
        slab.purged[u / 64] |= uint64_t{1} << (u % 64);
      }
    }
    if (!resident) continue;
    for (uint32_t block = first; block < i; ++block) slab.free.clear(block * slab.granules);
    runs[count++] = {first, i, begin, end};
  }
  return count;
}

// True when there may be more to give back in this slab.
template <sys::VmSource Vm>
bool Engine<Vm>::purge_slab(Zone<Vm>& zone, uint32_t index, size_t& total) {
  layout::Slab& slab = zone.slab(index);
  const uint32_t c = base::racy_load(slab.size_class);
  const uint16_t owner = base::racy_load(slab.owner);
  if (c == 0) return false;
  FreeRun runs[kMostRuns];
  uint32_t count = 0;
  ds::Lock& lock = lock_of_slab(c, owner);
  {
    const ds::LockGuard guard(lock);
    if (slab.size_class != c || slab.owner != owner || slab.used == slab.carved) return false;
    count = take_free_runs(zone, slab, runs);
    uint32_t blocks = 0;
    for (uint32_t r = 0; r < count; ++r) blocks += runs[r].end - runs[r].first;
    slabs_of(c, owner).account_taken(zone, index, blocks);
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
    for (uint32_t i = run.first; i < run.end; ++i) {
      void* const block = reinterpret_cast<void*>(address + i * block_bytes);
      if (gone && i * block_bytes >= run.page_begin && (i + 1) * block_bytes <= run.page_end) {
        base::racy_store(zone.state_of_any(block), static_cast<uint8_t>(layout::kFreeZero));
      }
      slabs_of(c, owner).give(zone, block);
    }
  }
  return count == kMostRuns;
}

template <sys::VmSource Vm>
size_t Engine<Vm>::purge(ThreadCache* cache) {
  if (!started()) return 0;
  if (cache != nullptr) caches_.drain(space_, process_, *cache);
  caches_.drain_parked(space_, process_);
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    process_.drain_depot(space_, c);
    const ds::LockGuard guard(process_.lock(c));
    process_.slabs(c).drop_empty(space_.zone_of_class(c));
  }
  size_t total = 0;
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slab_count(); ++index) {
      while (purge_slab(*zone, index, total)) {
      }
    }
    total += zone->purge_pool(space_.vm);
  }
  total += large_.purge(space_.vm);
  total += huge_.purge(space_.vm, 0);
  purged_bytes_.fetch_add(total, std::memory_order_relaxed);
  return total;
}

}  // namespace tide::heap
