// Definitions of Engine's functions that go over the whole heap: statistics and the visit of every
// block. Included where an Engine is instantiated.
#pragma once

#include <bit>

#include "heap/cache_contents.h"
#include "heap/engine.h"

namespace tide::heap {

// visit(class, count): blocks in stacks, and one by one those that wait.
template <sys::VmSource Vm>
template <class Visit>
void Engine<Vm>::for_each_cached(ThreadCache& cache, Visit visit) {
  for_each_cached_count(cache, visit);
  if (base::racy_load(cache.waiting.bytes) == 0) return;
  for_each_waiting(cache.waiting, [&](uintptr_t block) {
    const uint32_t stack = block_of_class(space_, reinterpret_cast<void*>(block)).stack;
    if (const uint32_t c = layout::class_of_stack(stack)) visit(c, 1);
  });
}

template <sys::VmSource Vm>
void Engine<Vm>::collect_stats(Stats& stats) {
  stats = {};
  if (!started()) return;
  uint64_t cached[layout::kClassCount] = {};
  uint64_t cached_spans = 0;
  uint64_t span_bytes_cached = 0;
  caches_.for_each([&](ThreadCache& cache) {
    cached_spans += cached_span_count(cache);
    span_bytes_cached += cached_span_bytes(cache);
    for_each_cached(cache, [&](uint32_t c, uint32_t count) { cached[c] += count; });
  });
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    ClassStats& entry = stats.classes[c];
    entry.block_bytes = layout::kClassInfo[c].bytes;
    entry.cached_blocks = cached[c];
    uint64_t used = 0;
    uint64_t slabs = 0;
    uint64_t capacity = 0;
    for (uint32_t home = 0; home < process_.homes_of(c); ++home) {
      used += process_.slabs(c, home).used_blocks();
      slabs += process_.slabs(c, home).slab_count();
      capacity += process_.slabs(c, home).capacity();
    }
    for (uint32_t i = 0; i < process_.depots_of(c); ++i) {
      entry.cached_blocks += process_.depot(c, i).count();
    }
    if (entry.cached_blocks > used) entry.cached_blocks = used;
    entry.live_blocks = used - entry.cached_blocks;
    for (uint32_t id = 1; id <= heaps_.count(); ++id) {
      const ClassSlabs<Vm>& own = heaps_.by_id(static_cast<uint16_t>(id))->slabs[c];
      entry.live_blocks += own.used_blocks();
      used += own.used_blocks();
      slabs += own.slab_count();
      capacity += own.capacity();
    }
    entry.slabs = static_cast<uint32_t>(slabs);
    entry.free_blocks = capacity > used ? capacity - used : 0;
    stats.live_blocks += entry.live_blocks;
    stats.live_bytes += entry.live_blocks * entry.block_bytes;
    stats.cached_bytes += entry.cached_blocks * entry.block_bytes;
  }
  // What free blocks in slabs may have resident: carved, not purged.
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slabs_seen(); ++index) {
      const layout::Slab& slab = zone->slab(index);
      const uint32_t c = base::racy_load(slab.size_class);
      if (c == 0) continue;
      const uint32_t carved = base::racy_load(slab.carved);
      const uint32_t used = base::racy_load(slab.first) + base::racy_load(slab.used);
      if (carved <= used) continue;
      const size_t free_bytes = (carved - used) * size_t{layout::kClassInfo[c].bytes};
      const auto units = static_cast<size_t>(std::popcount(base::racy_load(slab.purged[0])) +
                                             std::popcount(base::racy_load(slab.purged[1])));
      const size_t returned = units * zone->purge_unit_bytes();
      stats.free_dirty_bytes += free_bytes > returned ? free_bytes - returned : 0;
    }
    stats.free_dirty_bytes += zone->pool_bytes(true);
    stats.mapped_bytes += zone->mapped_bytes() + zone->metadata_bytes();
    stats.metadata_bytes += zone->metadata_bytes();
  }
  const uint64_t span_bytes = large_.live_bytes();
  const uint64_t spans = large_.live_blocks();
  stats.large_live_bytes = span_bytes > span_bytes_cached ? span_bytes - span_bytes_cached : 0;
  stats.large_live_blocks = spans > cached_spans ? spans - cached_spans : 0;
  stats.cached_bytes += span_bytes - stats.large_live_bytes;
  stats.huge_live_bytes = huge_.live_bytes();
  stats.huge_live_blocks = huge_.live_blocks();
  stats.huge_peak_bytes = huge_.peak_bytes();
  stats.huge_peak_blocks = huge_.peak_blocks();
  stats.huge_cached_bytes = huge_.kept_bytes();
  stats.live_bytes += stats.large_live_bytes + stats.huge_live_bytes;
  stats.live_blocks += stats.large_live_blocks + stats.huge_live_blocks;
  stats.free_dirty_bytes += large_.dirty_bytes() + stats.huge_cached_bytes;
  stats.metadata_bytes += large_.metadata_bytes() + metadata_.mapped_bytes();
  stats.mapped_bytes += large_.mapped_bytes() + large_.metadata_bytes() + metadata_.mapped_bytes() +
                        metadata_.guard_bytes() + stats.huge_live_bytes + stats.huge_cached_bytes +
                        huge_.unwanted_bytes();
  const uint64_t known =
      stats.live_bytes + stats.cached_bytes + stats.free_dirty_bytes + stats.metadata_bytes;
  stats.returned_bytes = stats.mapped_bytes > known ? stats.mapped_bytes - known : 0;
  stats.thread_caches = caches_.count();
  stats.heaps = heaps_.live_count();
  stats.purge_calls = purge_figures_.calls.load(std::memory_order_relaxed);
  stats.purged_bytes = purge_figures_.bytes.load(std::memory_order_relaxed);
  stats.retaken_bytes = purge_figures_.retaken_bytes.load(std::memory_order_relaxed);
  stats.purge_max_ns = purge_figures_.max_ns.load(std::memory_order_relaxed);
  stats.purge_total_ns = purge_figures_.total_ns.load(std::memory_order_relaxed);
  stats.background_turns = purge_figures_.background_turns.load(std::memory_order_relaxed);
  stats.footprint_bytes = space_.limits.footprint();
  stats.limit_soft_bytes = space_.limits.soft();
  stats.limit_hard_bytes = space_.limits.hard();
  stats.limit_bytes = stats.limit_hard_bytes != 0 ? stats.limit_hard_bytes : stats.limit_soft_bytes;
}

template <sys::VmSource Vm>
void Engine<Vm>::visit_caches(void (*visit)(const ThreadStats&, void* argument), void* argument) {
  caches_.for_each([&](ThreadCache& cache) {
    ThreadStats stats{base::racy_load(cache.owner), base::racy_load(cache.state),
                      cached_span_bytes(cache), cached_span_count(cache)};
    for_each_cached(cache, [&](uint32_t c, uint32_t count) {
      stats.cached_blocks += count;
      stats.cached_bytes += uint64_t{count} * layout::kClassInfo[c].bytes;
    });
    visit(stats, argument);
  });
}

template <sys::VmSource Vm>
bool Engine<Vm>::visit_blocks(bool (*visit)(const BlockInfo&, void* argument), void* argument) {
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    for (uint32_t index = 0; index < zone->slabs_seen(); ++index) {
      const layout::Slab& slab = zone->slab(index);
      const uint32_t c = base::racy_load(slab.size_class);
      if (c == 0) continue;
      const uint32_t carved = base::racy_load(slab.carved);
      const size_t block_bytes = layout::kClassInfo[c].bytes;
      for (uint32_t i = base::racy_load(slab.first); i < carved; ++i) {
        const uintptr_t block = zone->slab_address(index) + i * block_bytes;
        const uint8_t state = base::racy_load(zone->state_of_any(reinterpret_cast<void*>(block)));
        if (!layout::is_live_state(state)) continue;
        const BlockInfo info{reinterpret_cast<void*>(block), block_bytes, c,
                             base::racy_load(slab.owner)};
        if (!visit(info, argument)) return false;
      }
    }
  }
  {
    const ds::LockGuard guard(large_.lock());
    const bool all = large_.for_each_live([&](uint32_t page, const layout::SpanEntry& entry) {
      const BlockInfo info{reinterpret_cast<void*>(large_.address_of_page(page)),
                           large_.block_bytes(entry), 0, entry.owner};
      return visit(info, argument);
    });
    if (!all) return false;
  }
  return huge_.for_each([&](const typename HugeBlocks<Vm>::Entry& entry) {
    const BlockInfo info{reinterpret_cast<void*>(entry.address), entry.bytes, 0, entry.owner};
    return visit(info, argument);
  });
}

}  // namespace tide::heap
