// Definitions of Zone's functions for pages that change zones, see engine_moves.h. Included where
// they are called.
#pragma once

#include "heap/zone.h"
#include "heap/zone_purge.h"

namespace tide::heap {

// Whether the slabs of a step are all in that pool, and nothing of them is known to be given back.
// Pages that cores do not have, since the system would not change that, are not moved: others would
// not be in cores where they come to.
template <sys::VmSource Vm>
bool Zone<Vm>::is_step_in(uint32_t first, layout::Pool pool) const {
  if (first + slabs_of_step() > untouched_ || grows_by_huge_pages_at(first)) return false;
  if (pool == layout::Pool::kDirty && !steps_.is_in_cores(offset_of(first))) return false;
  for (uint32_t i = first; i != first + slabs_of_step(); ++i) {
    const layout::Slab& slab = slabs_[i];
    if (slab.pool != pool || purged_bytes(slab) != 0) return false;
    if (pool == layout::Pool::kClean && slab.used_before) return false;
  }
  return true;
}

// What a forked child finds of slabs on their way is dirty.
template <sys::VmSource Vm>
void Zone<Vm>::start_move(uint32_t first) {
  for (uint32_t i = first; i != first + slabs_of_step(); ++i) {
    slabs_[i].used_before = true;
    slabs_[i].resident = false;
    slabs_[i].pool = layout::Pool::kLeaving;
  }
}

template <sys::VmSource Vm>
uint32_t Zone<Vm>::take_dirty_step() {
  const ds::LockGuard guard(lock_);
  uint32_t index = dirty_.oldest();
  for (int looks = 0; index != layout::kNoSlab && looks < kMostLooks; ++looks) {
    const uint32_t first = first_of_step(index);
    if (!is_step_in(first, layout::Pool::kDirty)) {
      index = slabs_[index].previous;
      continue;
    }
    for (uint32_t i = first; i != first + slabs_of_step(); ++i) {
      dirty_.remove(slabs_, i);
      if (slabs_[i].resident) base::racy_store(ahead_, ahead_ - 1);
    }
    start_move(first);
    return first;
  }
  return layout::kNoSlab;
}

template <sys::VmSource Vm>
uint32_t Zone<Vm>::take_clean_step(Vm& vm) {
  const ds::LockGuard guard(lock_);
  uint32_t first = clean_.is_empty() ? layout::kNoSlab : first_of_step(clean_.youngest());
  if (first != layout::kNoSlab && is_step_in(first, layout::Pool::kClean)) {
    for (uint32_t i = first; i != first + slabs_of_step(); ++i) clean_.remove(slabs_, i);
  } else {
    if (slab_count() < first_of_step(untouched_) + 2 * slabs_of_step()) grow(vm, usual_growth());
    first = first_of_step(untouched_ + slabs_of_step() - 1);
    if (slab_count() < first + slabs_of_step() || grows_by_huge_pages_at(first)) {
      return layout::kNoSlab;
    }
    for (; untouched_ != first; ++untouched_) push(untouched_, true);
    untouched_ += slabs_of_step();
  }
  start_move(first);
  // The system may unmap them and refuse then: lost to a child that is forked meanwhile.
  for (uint32_t i = first; i != first + slabs_of_step(); ++i) {
    slabs_[i].slot = layout::Slot::kTaken;
  }
  steps_.want(offset_of(first), offset_of(first + slabs_of_step()));
  return first;
}

template <sys::VmSource Vm>
void Zone<Vm>::put_step(uint32_t first, bool clean) {
  const ds::LockGuard guard(lock_);
  for (uint32_t i = first + slabs_of_step(); i-- != first;) {
    slabs_[i].slot = layout::Slot::kMapped;
    slabs_[i].used_before = !clean;
    push(i, clean);
  }
}

template <sys::VmSource Vm>
void Zone<Vm>::put_emptied_step(Purger<Vm>& purger, uint32_t first) {
  const uint32_t end = first + slabs_of_step();
  for (uint32_t i = first; i != end; ++i) slabs_[i].next = i + 1 == end ? layout::kNoSlab : i + 1;
  purge_states(purger, first);
  purge_bitmaps(purger, first);
  put_step(first, true);
}

template <sys::VmSource Vm>
void Zone<Vm>::lose_step(uint32_t first) {
  const ds::LockGuard guard(lock_);
  for (uint32_t i = first; i != first + slabs_of_step(); ++i) slabs_[i].pool = layout::Pool::kNone;
  base::racy_store(unmapped_bytes_, unmapped_bytes_ + kMoveBytes);
}

}  // namespace tide::heap
