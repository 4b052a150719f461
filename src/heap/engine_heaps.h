// Definitions of Engine's functions for first-class heaps. Included where an Engine is
// instantiated.
#pragma once

#include "heap/engine.h"

namespace tide::heap {

template <sys::VmSource Vm>
PrivateHeap<Vm>* Engine<Vm>::heap_create(size_t limit_bytes) {
  return heaps_.create(space_, metadata_, limit_bytes);
}

template <sys::VmSource Vm>
void Engine<Vm>::heap_destroy(PrivateHeap<Vm>* heap) {
  // A purge may have blocks of the heap in its hands.
  const ds::LockGuard no_purge(heap_purge_lock_);
  {
    const ds::LockGuard guard(heap->lock);
    for (uint32_t c = 1; c < layout::kClassCount; ++c) {
      heap->slabs[c].drop_all(space_.zone_of_class(c));
    }
  }
  large_.release_all_of(heap->id);
  huge_.release_all_of(space_.vm, config_, heap->id);
  heaps_.retire(heap);
}

template <sys::VmSource Vm>
void* Engine<Vm>::heap_allocate(PrivateHeap<Vm>* heap, size_t bytes, size_t alignment,
                                bool zeroed) {
  if (alignment < layout::kMinAlignment) alignment = layout::kMinAlignment;
  if (!started()) return nullptr;
  bool known_zero = false;
  bool is_full = false;
  void* block = try_heap_allocate(heap, bytes, alignment, known_zero, is_full);
  if (block == nullptr && !is_full && find_room(nullptr, bytes)) {
    block = try_heap_allocate(heap, bytes, alignment, known_zero, is_full);
  }
  space_.bring_back();
  note_growth();
  if (block != nullptr && zeroed && !known_zero) make_zero(block, bytes);
  return block;
}

// From the class, or where its zone can't grow, as in allocate_any(). `is_full`: the heap's own
// limit forbids it.
template <sys::VmSource Vm>
void* Engine<Vm>::try_heap_allocate(PrivateHeap<Vm>* heap, size_t bytes, size_t alignment,
                                    bool& known_zero, bool& is_full) {
  if (const uint32_t c = class_aligned(alignment, bytes)) {
    Zone<Vm>& zone = space_.zone_of_class(c);
    const size_t block_bytes = layout::kClassInfo[c].bytes;
    const ds::LockGuard guard(heap->lock);
    is_full = !heap->admit(block_bytes);
    if (is_full) return nullptr;
    void* block = nullptr;
    if (heap->slabs[c].take(space_.vm, zone, c, heap->id, &block, 1) != 0) {
      if (TIDE_UNLIKELY(config_.prepare != nullptr)) config_.prepare(block, block_bytes);
      uint8_t& state = zone.state_of_any(block);
      known_zero = base::racy_load(state) == layout::kFreeZero;
      base::racy_store(state, static_cast<uint8_t>(layout::kLiveSpecial));
      return block;
    }
    heap->dismiss(block_bytes);
    if (space_.limits.may_refuse(bytes)) return nullptr;
  }
  if (bytes == 0) bytes = 1;
  if (bytes > static_cast<size_t>(PTRDIFF_MAX)) return nullptr;
  // Counted before it is there, so that two threads can't pass the limit together.
  const size_t unit = space_.vm.page_size() > layout::kSpanPageBytes ? space_.vm.page_size()
                                                                     : layout::kSpanPageBytes;
  const size_t counted = base::align_up(bytes, unit);
  {
    const ds::LockGuard guard(heap->lock);
    is_full = !heap->admit(counted);
    if (is_full) return nullptr;
  }
  void* const block = allocate_big(bytes, alignment, heap->id, known_zero);
  const size_t usable = block == nullptr ? 0 : usable_bytes(block);
  const ds::LockGuard guard(heap->lock);
  if (block == nullptr) {
    heap->dismiss(counted);
    return nullptr;
  }
  heap->use.live_bytes += usable;
  heap->use.live_bytes -= counted;
  return block;
}

template <sys::VmSource Vm>
Released Engine<Vm>::release_special(Zone<Vm>& zone, void* p) {
  const layout::Slab& slab = zone.slab(zone.index_of_address(p));
  PrivateHeap<Vm>* const heap = heaps_.by_id(slab.owner);
  if (heap == nullptr) return Released::kBad;
  bool much = false;
  {
    const ds::LockGuard guard(heap->lock);
    uint8_t& state = zone.state_of_any(p);
    if (base::racy_load(state) != layout::kLiveSpecial) return Released::kBad;
    const uint32_t c = slab.size_class;
    base::racy_store(state, static_cast<uint8_t>(layout::kNotLive));
    heap->slabs[c].give(zone, p);
    heap->dismiss(layout::kClassInfo[c].bytes);
    much = heap->keeps_too_much();
  }
  if (much) heap_try_give_back(heap);
  return Released::kDone;
}

template <sys::VmSource Vm>
HeapUse Engine<Vm>::heap_use(PrivateHeap<Vm>* heap) {
  const ds::LockGuard guard(heap->lock);
  return heap->use;
}

template <sys::VmSource Vm>
void Engine<Vm>::heap_set_limit(PrivateHeap<Vm>* heap, size_t limit_bytes) {
  const ds::LockGuard guard(heap->lock);
  heap->use.limit_bytes = limit_bytes;
}

template <sys::VmSource Vm>
void Engine<Vm>::heap_set_soft_limit(PrivateHeap<Vm>* heap, size_t limit_bytes) {
  heap->lock.lock();
  heap->use.soft_limit_bytes = limit_bytes;
  const bool much = heap->keeps_too_much();
  heap->lock.unlock();
  if (!much) return;
  const ds::LockGuard guard(purge_lock_);
  heap_give_back(heap);
}

}  // namespace tide::heap
