// The process's own heap behind the thread caches: per size class a lock, slabs and a depot.
//
// Thread caches come here for batches and bring batches back. Batches that come back go to the
// depot, without a lock, and only when that is full into the slabs.
#pragma once

#include <cstdint>

#include "ds/lock.h"
#include "heap/class_slabs.h"
#include "heap/depot.h"
#include "heap/space.h"
#include "layout/size_classes.h"

namespace tide::heap {

template <sys::VmSource Vm>
class ProcessHeap {
 public:
  constexpr ProcessHeap() = default;

  void start() {
    for (PerClass& entry : classes_) entry.slabs.start();
  }

  // Up to `count` <= kMaxBatch blocks of class `c`. A batch from the depot may hold more than asked
  // for: `out` has room for kMaxBatch. 0: no memory.
  uint32_t take(Space<Vm>& space, uint32_t c, void** out, uint32_t count) {
    const uint32_t batch = depots_[c].take(out);
    if (batch != 0) return batch;
    return take_from_slabs(space, c, out, count, layout::kMaxBatch);
  }

  uint32_t take_from_slabs(Space<Vm>& space, uint32_t c, void** out, uint32_t count,
                           uint32_t most) {
    PerClass& entry = classes_[c];
    const ds::LockGuard guard(entry.lock);
    return entry.slabs.take(space.vm, space.zone_of_class(c), c, 0, out, count, most);
  }

  // `count` <= kMaxBatch blocks that are not live.
  void give(Space<Vm>& space, uint32_t c, void* const* blocks, uint32_t count) {
    if (count > 1 && depots_[c].put(blocks, count, depot_slots(c))) return;
    give_to_slabs(space, c, blocks, count);
  }

  void give_to_slabs(Space<Vm>& space, uint32_t c, void* const* blocks, uint32_t count) {
    PerClass& entry = classes_[c];
    Zone<Vm>& zone = space.zone_of_class(c);
    const ds::LockGuard guard(entry.lock);
    for (uint32_t i = 0; i < count; ++i) entry.slabs.give(zone, blocks[i]);
  }

  // Empties the depot of `c` into its slabs.
  void drain_depot(Space<Vm>& space, uint32_t c) {
    void* batch[layout::kMaxBatch];
    while (const uint32_t count = depots_[c].take(batch)) give_to_slabs(space, c, batch, count);
  }

  ds::Lock& lock(uint32_t c) { return classes_[c].lock; }
  ClassSlabs<Vm>& slabs(uint32_t c) { return classes_[c].slabs; }
  Depot& depot(uint32_t c) { return depots_[c]; }

 private:
  struct alignas(64) PerClass {
    ds::Lock lock;
    ClassSlabs<Vm> slabs;
  };

  // At most about a MiB in a depot.
  static uint32_t depot_slots(uint32_t c) {
    const size_t batch_bytes = size_t{layout::kClassInfo[c].batch} * layout::kClassInfo[c].bytes;
    const size_t fit = (size_t{1} << 20) / batch_bytes;
    return fit >= Depot::kSlots ? Depot::kSlots : fit < 2 ? 2 : static_cast<uint32_t>(fit);
  }

  PerClass classes_[layout::kClassCount];
  Depot depots_[layout::kClassCount];
};

}  // namespace tide::heap
