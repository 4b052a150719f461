// Definitions of Engine's functions for single blocks. Included where an Engine is instantiated.
#pragma once

#include <cstring>

#include "heap/block_bytes.h"
#include "heap/engine.h"
#include "heap/shuffle.h"
#include "heap/waiting.h"
#include "sys/path_taken.h"

namespace tide::heap {

template <sys::VmSource Vm>
bool Engine<Vm>::start(const Config& config) {
  const ds::LockGuard guard(start_lock_);
  if (started()) return true;
  config_ = config;
  if (config_.huge_threshold_bytes > layout::kLargeMaxBytes) {
    config_.huge_threshold_bytes = layout::kLargeMaxBytes;
  }
  space_.limits.set(config_.limit_soft_bytes, config_.limit_hard_bytes);
  process_.start(config_.homes, config_.mid_depots, config_.prepare);
  huge_.start(space_.limits);
  caches_.start(space_.limits);
  if (config_.hardened) {
    metadata_.guard();
    space_.small.make_frees_slow();
    space_.mid.make_frees_slow();
  }
  space_.small.grow_by_huge_pages_from(config_.huge_growth_bytes);
  space_.mid.grow_by_huge_pages_from(kHugeGrowthOfMid * config_.huge_growth_bytes);
  if (!space_.start()) return false;
  large_.place(space_.vm, space_.limits, space_.plan.large_zone(), space_.plan.span_entries(),
               space_.plan.window_bytes);
  space_.small.dump_steps().start(dump_tables_[0]);
  space_.mid.dump_steps().start(dump_tables_[1]);
  large_.dump_steps().start(dump_tables_[2]);
  const uintptr_t header = space_.plan.header();
  if (config_.describe != nullptr &&
      space_.vm.map_at(header, space_.vm.page_size()) == sys::MapResult::kOk) {
    config_.describe(reinterpret_cast<void*>(header));
  }
  started_.store(true, std::memory_order_release);
  return true;
}

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_without_marks(ThreadCache* cache, uint32_t c, bool& zeroed) {
  Zone<Vm>& zone = space_.zone_of_class(c);
  const uint32_t stack = cache == nullptr ? 0 : layout::own_stack(*cache, c);
  void* block = cache == nullptr ? nullptr : reinterpret_cast<void*>(*cache->top[stack]);
  if (block != nullptr) {
    layout::set_top(*cache, stack, cache->top[stack] - 1);
  } else {
    sys::take_path(sys::PathTaken::kRefill);
    if (cache != nullptr) {
      const uint32_t number = &zone == &space_.mid ? kMidZone : kSmallZone;
      if (TIDE_UNLIKELY(wants_pages(number, zone.slab_bytes())) && !zone.has_dirty()) {
        supply(number, kMoveBytes);
      }
      block = caches_.refill(space_, process_, config_, *cache, c);
      if (TIDE_UNLIKELY(config_.hardened)) shuffle(*cache, stack);
      trade_if_due(cache);
    } else if (process_.take_from_slabs(space_, 0, c, &block, 1) == 0) {
      block = nullptr;
    }
    if (block == nullptr) return nullptr;
  }
  uint8_t& state = zone.state_of_any(block);
  zeroed =
      layout::kDetects && !layout::is_small_class(c) && base::racy_load(state) == layout::kFreeZero;
  base::racy_store(state, Zone<Vm>::stack_at(zone.states(), zone.granule_of_any(block)));
  return block;
}

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_big(size_t bytes, size_t alignment, uint16_t owner, bool& zeroed) {
  if (bytes > static_cast<size_t>(PTRDIFF_MAX) || alignment > static_cast<size_t>(PTRDIFF_MAX)) {
    return nullptr;
  }
  if (bytes == 0) bytes = 1;
  sys::take_path(sys::PathTaken::kSpan);
  if (bytes <= config_.huge_threshold_bytes && alignment <= layout::kLargeMaxBytes) {
    const bool is_kept = owner == 0 && SpanCache<Vm>::has_length(bytes);
    void* block = nullptr;
    if (!is_kept && alignment <= layout::kSpanPageBytes && huge_.kept_bytes() >= bytes) {
      zeroed = false;
      block = allocate_dirty(bytes, owner, false);
    }
    if (block == nullptr) {
      if (TIDE_UNLIKELY(wants_pages(kLargeZone, bytes)) && !large_.has_dirty(bytes)) {
        supply(kLargeZone, bytes);
      }
      block = large_.allocate(space_.vm, is_kept ? SpanCache<Vm>::rounded(bytes) : bytes, alignment,
                              owner, zeroed);
    }
    large_.bring_back(space_.vm);
    if (block != nullptr) {
      if (TIDE_UNLIKELY(config_.hardened) && is_kept) large_.fit(block, bytes);
      return block;
    }
  }
  base::racy_store(has_grown_, true);
  return huge_.allocate(space_.vm, metadata_, config_, bytes, alignment, owner, zeroed);
}

// Of memory that may be resident, if there is a piece in one of the reserves.
template <sys::VmSource Vm>
void* Engine<Vm>::allocate_dirty(size_t bytes, uint16_t owner, bool grows) {
  void* block = nullptr;
  if (bytes <= config_.huge_threshold_bytes) block = large_.allocate_dirty(bytes, owner);
  return block != nullptr ? block : huge_.allocate_kept(space_.vm, metadata_, bytes, owner, grows);
}

// Idle spans of the thread that are too short or too long serve before clean memory does: back in
// the zone they are joined and cut.
template <sys::VmSource Vm>
void Engine<Vm>::join_cached_spans(ThreadCache& cache, size_t bytes) {
  const size_t idle_bytes = size_t{cache.spans.pages} << layout::kSpanPageShift;
  if (idle_bytes < bytes || !SpanCache<Vm>::has_length(bytes)) return;
  if (!large_.has_dirty(bytes)) drain_spans(cache);
}

// From the class, or where its zone can't grow, from the large zone and the kernel; once more after
// everything that is free elsewhere was given up. Near the hard limit that comes first: there whole
// pages must not go to small blocks.
template <sys::VmSource Vm>
void* Engine<Vm>::allocate_any(ThreadCache* cache, uint32_t c, size_t bytes, size_t alignment,
                               bool& zeroed) {
  void* block = nullptr;
  if (c == 0 && cache != nullptr && SpanCache<Vm>::has_length(bytes)) {
    SpanCache<Vm> spans(large_, cache->spans);
    block = spans.take(bytes, alignment);
    if (block == nullptr) spans.note_taking();
  }
  if (block != nullptr) {
    if (TIDE_UNLIKELY(config_.hardened)) large_.fit(block, bytes);
    return block;
  }
  for (bool again = false;; again = true) {
    if (c != 0) block = allocate_of_class(cache, c, zeroed);
    if (block == nullptr && (c == 0 || again || !space_.limits.may_refuse(bytes))) {
      if (cache != nullptr) join_cached_spans(*cache, bytes);
      block = allocate_big(bytes, alignment, 0, zeroed);
      trade_if_due(cache);
    }
    if (TIDE_LIKELY(block != nullptr) || again || !find_room(cache, bytes)) return block;
  }
}

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_slow(ThreadCache* cache, size_t bytes) {
  const CacheUse use(cache);
  bool zeroed = false;
  const uint32_t c = class_for(bytes);
  return allocate_any(cache, c, bytes, 0, zeroed);
}

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_zeroed(ThreadCache* cache, size_t bytes) {
  const CacheUse use(cache);
  bool zeroed = false;
  const uint32_t c = class_for(bytes);
  void* const block = allocate_any(cache, c, bytes, 0, zeroed);
  if (block != nullptr && !zeroed) make_zero(block, bytes);
  return block;
}

// Of a large block of whole pages: where few of them are resident it is cheaper to give these back
// than to touch all.
template <sys::VmSource Vm>
void Engine<Vm>::make_zero(void* block, size_t bytes) {
  const size_t page = space_.vm.page_size();
  const size_t whole = base::align_up(bytes, page);
  if (bytes >= kPurgeToZeroBytes && whole <= usable_bytes(block) &&
      base::is_aligned(base::address_of(block), page) && space_.vm.is_sparse(block, whole) &&
      space_.vm.purge(block, whole)) {
    return;
  }
  memset(block, 0, bytes);
}

// The class for `bytes`, or 0. In hardened mode what may be a span is one, for the pages around it.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::class_for(size_t bytes) const {
  const bool is_span = TIDE_UNLIKELY(config_.hardened) && bytes > layout::kClassedMaxBytes;
  return is_span ? 0 : layout::class_of(bytes);
}

// The smallest class that holds `bytes` and whose blocks are all aligned, or 0.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::class_aligned(size_t alignment, size_t bytes) const {
  if (alignment > layout::kMidMaxBytes || bytes > layout::kMidMaxBytes) return 0;
  return class_for(layout::bytes_aligned(alignment, bytes));
}

template <sys::VmSource Vm>
void* Engine<Vm>::allocate_aligned(ThreadCache* cache, size_t alignment, size_t bytes) {
  const CacheUse use(cache);
  bool zeroed = false;
  const uint32_t c = class_aligned(alignment, bytes);
  return allocate_any(cache, c, bytes, alignment, zeroed);
}

template <sys::VmSource Vm>
Released Engine<Vm>::release_slow(ThreadCache* cache, void* p) {
  const CacheUse use(cache);
  if (Zone<Vm>* zone = space_.zone_of(p)) {
    const size_t granule = zone->granule_of_any(p);
    if (granule >= zone->limit()) return Released::kBad;
    uint8_t& state = zone->state(granule);
    uint32_t value = zone->state_or_stack(granule);
    if (value == layout::kLiveSpecial) {
      if (zone->slab(zone->index_of_address(p)).owner != 0) return release_special(*zone, p);
      value = Zone<Vm>::stack_at(zone->states(), granule);  // a sample
    }
    const uint32_t c = layout::class_of_stack(value);
    if (c == 0) return Released::kBad;
    base::racy_store(state, static_cast<uint8_t>(layout::kNotLive));
    // The slab may have another home than when the block was made.
    const uint32_t stack = Zone<Vm>::stack_at(zone->states(), granule);
    if (cache != nullptr && make_room_in_stack(*cache, stack)) {
      push(*cache, stack, cache->top[stack], p);
      if (!layout::is_foreign(*cache, stack)) close_stack(*cache, c);
    } else {
      process_.give_to_slabs(space_, c, &p, 1);
    }
    return Released::kDone;
  }
  if (cache != nullptr && put_span(*cache, p)) return Released::kDone;
  uint16_t owner = 0;
  size_t bytes = 0;
  if (large_.holds(p)) {
    bytes = large_.release(p, owner);
    if (bytes == 0) return Released::kBad;
  } else {
    typename HugeBlocks<Vm>::Entry entry;
    if (!huge_.lookup(p, false, entry)) {
      return huge_.lookup(p, true, entry) ? Released::kBad : Released::kForeign;
    }
    owner = entry.owner;
    bytes = entry.bytes;
    if (!huge_.release(space_.vm, config_, p)) return Released::kBad;
  }
  if (cache != nullptr) cache->freed_bytes += bytes;
  if (owner != 0) {
    PrivateHeap<Vm>* const heap = heaps_.by_id(owner);
    heap->lock.lock();
    heap->dismiss(bytes);
    const bool much = heap->keeps_too_much();
    heap->lock.unlock();
    if (much) heap_try_give_back(heap);
  }
  return Released::kDone;
}

template <sys::VmSource Vm>
bool Engine<Vm>::unmap_closed(void* p) {
  if (!large_.contains(p)) return true;  // later: the caller's lock comes after the registry's
  const size_t bytes = large_.whole_bytes(p);
  return base::is_aligned(base::address_of(p) | bytes, space_.vm.page_size()) &&
         space_.vm.unmap(p, bytes);
}

template <sys::VmSource Vm>
void Engine<Vm>::forget_closed(void* p) {
  if (large_.contains(p)) return large_.forget_unmapped(p);
  // Where not even this is to be had the block stays live, out of use.
  huge_.release_closed(space_.vm, p);
}

template <sys::VmSource Vm>
void Engine<Vm>::release_plain(ThreadCache* cache, void* p, const PlainBlock& block) {
  const CacheUse use(cache);
  make_free(cache, p, block);
}

template <sys::VmSource Vm>
void Engine<Vm>::make_free(ThreadCache* cache, void* p, const PlainBlock& block) {
  const uint32_t stack = block.stack;
  base::racy_store(*block.state, static_cast<uint8_t>(layout::kNotLive));
  const bool has_room =
      cache != nullptr && (cache->top[stack] != cache->limit[stack] ||
                           caches_.make_room(space_, process_, config_, *cache, stack));
  if (TIDE_LIKELY(has_room)) {
    push_unforeseen(*cache, stack, cache->top[stack], p);
  } else {
    process_.give_to_slabs(space_, layout::class_of_stack(stack), &p, 1);
  }
}

// A block that has waited, and is in the list no more.
template <sys::VmSource Vm>
PlainBlock Engine<Vm>::leave_waiting(ThreadCache& cache, uintptr_t block) {
  const PlainBlock found = block_of_class(space_, reinterpret_cast<void*>(block));
  base::racy_store(cache.waiting.bytes, cache.waiting.bytes - found.bytes());
  config_.inspect(reinterpret_cast<void*>(block), found.bytes());
  return found;
}

template <sys::VmSource Vm>
void Engine<Vm>::drain_lists(ThreadCache& cache) {
  drain_spans(cache);
  base::racy_store(cache.taken_bytes, size_t{0});
  base::racy_store(cache.noticed_taken_bytes, size_t{0});
  if (cache.waiting.bytes == 0) return;
  queue_places(cache.waiting);
  while (const uintptr_t block = take_waiting(cache.waiting)) {
    make_free(nullptr, reinterpret_cast<void*>(block), leave_waiting(cache, block));
    queue_places(cache.waiting);
  }
}

template <sys::VmSource Vm>
size_t Engine<Vm>::usable_bytes(const void* p) {
  if (Zone<Vm>* zone = space_.zone_of(p)) {
    const size_t granule = zone->granule_of_any(p);
    if (granule >= zone->limit()) return 0;
    const uint32_t state = zone->state_or_stack(granule);
    if (state == layout::kLiveSpecial) {
      return layout::kClassInfo[zone->slab(zone->index_of_address(p)).size_class].bytes;
    }
    return layout::kClassInfo[layout::class_of_stack(state)].bytes;
  }
  if (large_.holds(p)) return large_.usable_bytes(p);
  return huge_.usable_bytes(p);
}

template <sys::VmSource Vm>
PrivateHeap<Vm>* Engine<Vm>::heap_of(const void* p) {
  uint16_t owner = 0;
  typename HugeBlocks<Vm>::Entry entry;
  if (Zone<Vm>* zone = space_.zone_of(p)) {
    owner = zone->slab(zone->index_of_address(p)).owner;
  } else if (large_.holds(p)) {
    owner = large_.owner_of(p);
  } else if (huge_.lookup(p, false, entry)) {
    owner = entry.owner;
  }
  return owner == 0 ? nullptr : heaps_.by_id(owner);
}

template <sys::VmSource Vm>
PointerInfo Engine<Vm>::describe(const void* p) {
  using Kind = PointerInfo::Kind;
  if (Zone<Vm>* zone = space_.zone_of(p)) {
    const uint32_t index = zone->index_of_address(p);
    const layout::Slab& slab = zone->slab(index);
    // A slab whose last block was freed has no class any more; what it was tells a double free.
    const bool emptied = slab.size_class == 0;
    const uint32_t c = emptied ? slab.last_class : slab.size_class;
    if (c == 0) return {Kind::kUnused, false, 0, 0, 0};
    const size_t block_bytes = layout::kClassInfo[c].bytes;
    const uintptr_t offset = base::address_of(p) - zone->slab_address(index);
    const auto number = static_cast<uint32_t>(offset / block_bytes);
    const uint32_t known = emptied ? layout::kClassInfo[c].blocks_per_slab : slab.carved;
    const uint32_t first = emptied ? 0 : slab.first;
    if (number < first || number >= known) return {Kind::kUnused, false, c, 0, 0};
    const uintptr_t block = zone->slab_address(index) + number * block_bytes;
    const uint8_t state = base::racy_load(zone->state_of_any(reinterpret_cast<void*>(block)));
    const bool live = layout::is_live_state(state);
    if (block != base::address_of(p)) return {Kind::kInside, live, c, block, block_bytes};
    return {live ? Kind::kLive : Kind::kFree, live, c, block, block_bytes};
  }
  if (large_.holds(p)) {
    uintptr_t head = 0;
    const layout::SpanEntry* entry = large_.head_before(p, head);
    const size_t block_bytes = large_.block_bytes(*entry);
    const bool live = entry->state == layout::SpanState::kLive;
    if (!live) return {Kind::kFree, false, 0, base::address_of(p), 0};
    return {head == base::address_of(p) ? Kind::kLive : Kind::kInside, true, 0, head, block_bytes};
  }
  typename HugeBlocks<Vm>::Entry entry;
  if (huge_.lookup(p, true, entry)) {
    const Kind kind = entry.address == base::address_of(p) ? Kind::kLive : Kind::kInside;
    return {kind, true, 0, entry.address, entry.bytes};
  }
  if (const size_t bytes = huge_.freed_bytes(p)) {
    return {Kind::kFree, false, 0, base::address_of(p), bytes};
  }
  return {Kind::kForeign, false, 0, 0, 0};
}

template <sys::VmSource Vm>
BlockPlace Engine<Vm>::locate(const void* p) {
  using State = BlockPlace::State;
  if (Zone<Vm>* zone = space_.zone_of(p)) {
    const uint32_t index = zone->index_of_address(p);
    layout::Slab& slab = zone->slab(index);
    const uint32_t c = base::racy_load(slab.size_class);
    if (c == 0) return {State::kFree, 0, 0, 0, 0};
    const uint32_t heap_id = base::racy_load(slab.owner);
    const size_t block_bytes = layout::kClassInfo[c].bytes;
    const uintptr_t offset = base::address_of(p) - zone->slab_address(index);
    const auto number = static_cast<uint32_t>(offset / block_bytes);
    if (number < base::racy_load(slab.first) || number >= base::racy_load(slab.carved)) {
      return {State::kFree, 0, heap_id, 0, 0};
    }
    const uintptr_t block = zone->slab_address(index) + number * block_bytes;
    const uint8_t state = base::racy_load(zone->state_of_any(reinterpret_cast<void*>(block)));
    const auto granule = static_cast<uint32_t>(
        zone->granule_of_any(reinterpret_cast<void*>(block)) % layout::kGranulesPerSlab);
    const State found = layout::is_live_state(state)        ? State::kLive
                        : state == layout::kRetired         ? State::kRetired
                        : zone->free_of(slab).test(granule) ? State::kFree
                                                            : State::kCached;
    return {found, c, heap_id, block, block_bytes};
  }
  if (large_.holds(p)) {
    uintptr_t head = 0;
    const layout::SpanEntry* entry = large_.head_before(p, head);
    const layout::SpanState state = base::racy_load(entry->state);
    const bool is_live = state == layout::SpanState::kLive;
    if (is_live || state == layout::SpanState::kCached) {
      const uint32_t heap_id = base::racy_load(entry->owner);
      const size_t bytes = large_.block_bytes(*entry);
      return {is_live ? State::kLive : State::kCached, 0, heap_id, head, bytes};
    }
    return {State::kFree, 0, 0, 0, 0};
  }
  typename HugeBlocks<Vm>::Entry entry;
  if (huge_.lookup(p, true, entry)) {
    return {State::kLive, 0, entry.owner, entry.address, entry.bytes};
  }
  return {huge_.keeps(p) ? State::kFree : State::kForeign, 0, 0, 0, 0};
}

}  // namespace tide::heap
