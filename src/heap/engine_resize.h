// Definitions of Engine::resize and what it needs. Included where an Engine is instantiated.
//
// A block that grows takes the free memory behind it; else it moves, by copying where resident
// memory for it lies idle, by moving its pages where it would get fresh ones.
#pragma once

#include <cstring>

#include "heap/engine.h"

namespace tide::heap {

template <sys::VmSource Vm>
void* Engine<Vm>::resize(void* p, size_t usable, size_t bytes, ThreadCache* cache) {
  if (space_.zone_of(p) != nullptr) {
    return stays_in_class(usable, bytes) ? p : nullptr;
  }
  // Whole pages come and go, or nothing.
  if (bytes <= usable && usable - bytes < layout::kSpanPageBytes) return p;
  PrivateHeap<Vm>* const heap = heap_of(p);
  if (heap != nullptr) {
    heap->lock.lock();
    const bool fits =
        bytes <= usable || (bytes - usable <= heap->use.limit_bytes &&
                            heap->use.live_bytes <= heap->use.limit_bytes - (bytes - usable));
    heap->lock.unlock();
    if (!fits) return nullptr;
  }
  const uint16_t owner = heap == nullptr ? uint16_t{0} : heap->id;
  void* result = resize_big(cache, p, usable, bytes, owner);
  if (result == nullptr && bytes > usable && space_.limits.may_refuse(bytes - usable) &&
      make_room(nullptr, bytes - usable)) {
    result = resize_big(cache, p, usable, bytes, owner);
  }
  if (result != nullptr && heap != nullptr) {
    const size_t now = usable_bytes(result);
    const ds::LockGuard guard(heap->lock);
    heap->use.live_bytes += now;
    heap->use.live_bytes -= usable;
  }
  return result;
}

// The same for a block of the large zone or a huge one; its heap's count is left to the caller.
template <sys::VmSource Vm>
void* Engine<Vm>::resize_big(ThreadCache* cache, void* p, size_t usable, size_t bytes,
                             uint16_t owner) {
  const bool is_span = large_.holds(p);
  const bool leaves = config_.leaves_moved && owner == 0 && bytes > usable;
  if (is_span) {
    if ((bytes > layout::kMidMaxBytes || bytes > usable / 2) && bytes <= layout::kLargeMaxBytes &&
        large_.resize(p, bytes)) {
      large_.bring_back(space_.vm);
      return p;
    }
    if (bytes <= usable || usable < least_to_remap(leaves)) return nullptr;
  } else {
    if (!stays_huge(usable, bytes)) return nullptr;
    // A block of several mappings could not leave its place.
    if (!leaves && huge_.resize_in_place(space_.vm, config_, p, bytes)) return p;
  }
  if (bytes > usable && bytes - usable >= usable / kLeastGrowthToCopy) {
    if (void* const moved = move_to_dirty(cache, p, usable, bytes, owner)) return moved;
  }
  return is_span || leaves ? grow_by_moving_pages(p, usable, bytes, owner, leaves)
                           : huge_.resize(space_.vm, metadata_, p, bytes);
}

// From what length on the pages of a span are moved. Where its place waits, closed and without
// pages, a copy would have page faults for all of it; a few, since each becomes a mapping.
template <sys::VmSource Vm>
size_t Engine<Vm>::least_to_remap(bool leaves) const {
  constexpr size_t kLeastLeaving = size_t{1} << 20;
  constexpr size_t kMostMappings = 1024;
  const size_t usual = config_.remap_threshold_bytes;
  const bool sooner = leaves && usual > kLeastLeaving && huge_.live_blocks() < kMostMappings;
  return sooner ? kLeastLeaving : usual;
}

// Whether a huge block that shrinks to `bytes` is cut, not copied. Many small ones would need a
// mapping each.
template <sys::VmSource Vm>
bool Engine<Vm>::stays_huge(size_t usable, size_t bytes) const {
  constexpr size_t kFewBlocks = 64;
  constexpr size_t kLeastOfMany = size_t{1} << 20;
  if (bytes > usable / 2 || bytes >= kLeastOfMany) return true;
  return bytes > layout::kMidMaxBytes && huge_.live_blocks() <= kFewBlocks;
}

// To copy into pages that are resident costs less than the page faults of what a block that grows
// by much gets else. The old ones stay for the next, and the process does not get larger.
template <sys::VmSource Vm>
void* Engine<Vm>::move_to_dirty(ThreadCache* cache, void* p, size_t usable, size_t bytes,
                                uint16_t owner) {
  if (config_.hardened) return nullptr;  // pages that move leave nothing behind
  const bool is_cached = cache != nullptr && owner == 0;
  void* block = nullptr;
  if (owner == 0 && SpanCache<Vm>::has_length(bytes)) {
    if (is_cached) {
      const CacheUse use(cache);
      block = SpanCache<Vm>(large_, cache->spans).take(bytes);
    }
    bytes = SpanCache<Vm>::rounded(bytes);
  }
  if (block == nullptr) block = allocate_dirty(bytes, owner, true);
  if (block == nullptr) return nullptr;
  large_.bring_back(space_.vm);
  memcpy(block, p, usable);
  const CacheUse use(cache);
  if (is_cached && put_span(*cache, p)) return block;
  if (large_.holds(p)) {
    large_.release(p, owner);
  } else {
    huge_.release(space_.vm, config_, p);
  }
  if (cache != nullptr) cache->freed_bytes += usable;
  return block;
}

// A span that outgrows its neighbourhood becomes a huge block: its pages move to a mapping of their
// own, nothing is copied, and from there on the kernel grows it. `leaves`: see Config; then huge
// blocks as well.
template <sys::VmSource Vm>
void* Engine<Vm>::grow_by_moving_pages(void* p, size_t usable, size_t bytes, uint16_t owner,
                                       bool leaves) {
  const size_t page = space_.vm.page_size();
  if (whole_bytes(p, usable) != usable && !large_.resize(p, usable)) return nullptr;
  if (bytes > static_cast<size_t>(PTRDIFF_MAX) || usable % page != 0 ||
      !base::is_aligned(base::address_of(p), page) ||
      !space_.limits.has_room(leaves ? bytes : bytes - usable)) {
    return nullptr;
  }
  void* const detached = space_.vm.detach_pages(p, usable);
  if (detached == nullptr) return nullptr;
  // It inherits what another thread may only be about to undo.
  if (large_.dump_steps().any()) space_.vm.set_dumped(detached, usable, true);
  void* const grown = huge_.adopt(space_.vm, metadata_, detached, usable, bytes, owner);
  if (grown == nullptr) {
    // No memory for the larger mapping: the pages go back by copy, the block stays as it was.
    memcpy(p, detached, usable);
    huge_.discard(space_.vm, detached, usable);
    return nullptr;
  }
  if (leaves) {
    space_.limits.admit_always(usable);  // as every live block, for the pages that went along
  } else {
    large_.release(p, owner, true);
  }
  return grown;
}

}  // namespace tide::heap
