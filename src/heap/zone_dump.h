// Definitions of Zone's functions that leave free memory out of cores. Included where they are
// called.
#pragma once

#include "heap/zone.h"

namespace tide::heap {

// Whether all slabs of a step are in the pool of clean ones.
template <sys::VmSource Vm>
bool Zone<Vm>::is_free_step(uint32_t step) const {
  const auto slabs = static_cast<uint32_t>(DumpSteps::kStepBytes / slab_bytes());
  for (uint32_t index = step * slabs; index != (step + 1) * slabs; ++index) {
    // The records behind were never touched.
    if (index >= untouched_ || slabs_[index].pool != layout::Pool::kClean) return false;
  }
  return true;
}

// Looks at some steps from `cursor` on, which moves, and takes the slabs of the first free ones
// that may be left out off their pool. `range` is empty when there were none. False: no more steps.
template <sys::VmSource Vm>
bool Zone<Vm>::claim_free_steps(uint32_t& cursor, uint32_t least_steps, DumpSteps::Range& range) {
  const ds::LockGuard guard(lock_);
  const uint32_t end = DumpSteps::whole(0, offset_of(untouched_)).end;
  const uint32_t pause = cursor + DumpSteps::kMostAtOnce;
  range = {0, 0};
  while (cursor < end && cursor < pause) {
    DumpSteps::Range found{cursor, cursor};
    while (found.end < end && found.end - cursor < DumpSteps::kMostAtOnce &&
           steps_.is_dumped(found.end) && is_free_step(found.end)) {
      ++found.end;
    }
    cursor = found.is_empty() ? cursor + 1 : found.end;
    if (!steps_.may_leave(found, least_steps, zone_.end())) continue;
    for (auto index = static_cast<uint32_t>(found.offset() >> slab_shift());
         offset_of(index) != found.offset() + found.bytes(); ++index) {
      clean_.remove(slabs_, index);
      slabs_[index].pool = layout::Pool::kLeaving;
    }
    steps_.start_leaving(found);
    range = found;
    return true;
  }
  return cursor < end;
}

template <sys::VmSource Vm>
void Zone<Vm>::leave_out_free(Vm& vm, size_t least_bytes) {
  if (!steps_.is_started()) return;
  {
    const ds::LockGuard guard(lock_);
    if (zone_.end() < DumpSteps::kLeastZone) return;
    // What is mapped ahead, as well.
    if (offset_of(slab_count() - untouched_) >= least_bytes) push_untouched();
    if (clean_.count() * slab_bytes() < steps_.left_out_bytes() + least_bytes) return;
  }
  for (const uint32_t least_steps : DumpSteps::kLeastSteps) {
    DumpSteps::Range range{};
    for (uint32_t cursor = 0; claim_free_steps(cursor, least_steps, range);) {
      if (range.is_empty()) continue;
      const bool done =
          vm.set_dumped(reinterpret_cast<void*>(base_ + range.offset()), range.bytes(), false);
      const ds::LockGuard guard(lock_);
      steps_.finish_leaving(range, done);
      for (auto index = static_cast<uint32_t>(range.offset() >> slab_shift());
           offset_of(index) != range.offset() + range.bytes(); ++index) {
        push(index, true);
      }
      if (!done) return;
    }
  }
}

}  // namespace tide::heap
