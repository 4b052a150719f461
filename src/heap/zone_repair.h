// Definitions of Zone's functions for a forked child, in which threads that were in here do not
// exist. Included where they are called.
#pragma once

#include "heap/zone.h"

namespace tide::heap {

template <sys::VmSource Vm>
void Zone<Vm>::settle_in_child(Vm& vm) {
  steps_.settle_in_child();
  for (Window<Vm>* records :
       {&classes_window_, &states_window_, &slabs_window_, &bitmaps_window_}) {
    records->settle_in_child(vm);
  }
}

template <sys::VmSource Vm>
void Zone<Vm>::rebuild_pools(bool keeps_hand) {
  forget_pools();
  for (uint32_t index = untouched_; index-- != 0;) {
    layout::Slab& slab = slabs_[index];
    if (slab.size_class != 0 || slab.slot == layout::Slot::kTaken) continue;
    if (keeps_hand && slab.pool == layout::Pool::kLeaving) {
      ahead_ += static_cast<uint32_t>(slab.resident);
      continue;
    }
    if (slab.slot == layout::Slot::kMapped) {
      slab.used_before = is_whole(slab);
      slab.resident = false;
      push(index, !slab.used_before);
    } else {
      slab.pool = layout::Pool::kNone;
      slab.next = unmapped_;
      unmapped_ = index;
    }
  }
}

}  // namespace tide::heap
