// The address space of one engine: the VM source and the two zones of slabs, placed together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "heap/address_plan.h"
#include "heap/limits.h"
#include "heap/zone.h"
#include "layout/constants.h"
#include "layout/size_classes.h"

namespace tide::heap {

template <sys::VmSource Vm>
struct Space {
  constexpr Space() = default;

  Vm vm{};
  Zone<Vm> small;
  Zone<Vm> mid;
  AddressPlan plan;
  // Written at every growth; what fast paths read lies before it.
  alignas(64) Limits limits;

  Zone<Vm>& zone_of_class(uint32_t c) { return layout::is_small_class(c) ? small : mid; }

  // The zone in whose slabs `p` lies, or null. A slab's addresses may belong to others: that is not
  // in the zone.
  Zone<Vm>* zone_of(const void* p) {
    for (Zone<Vm>* zone : {&small, &mid}) {
      if (!zone->contains(p)) continue;
      const layout::Slab& slab = zone->slab(zone->index_of_address(p));
      return base::racy_load(slab.slot) == layout::Slot::kMapped ? zone : nullptr;
    }
    return nullptr;
  }

  // After slabs were taken, without a lock: cores have them.
  void bring_back() {
    small.bring_back(vm);
    mid.bring_back(vm);
  }

  // Finds a place and maps the first slabs of the small zone. False: no memory; may be tried again.
  bool start() {
    for (unsigned attempt = 0; plan_addresses(vm, attempt, plan); ++attempt) {
      if (plan.base == 0) continue;
      if (!small.place(vm, limits, layout::kSmallGranuleShift, plan.small_zone(),
                       plan.small_states(), plan.small_slabs(), plan.window_bytes) ||
          !mid.place(vm, limits, layout::kMidGranuleShift, plan.mid_zone(), plan.mid_states(),
                     plan.mid_slabs(), plan.window_bytes)) {
        return false;
      }
      if (small.start(vm)) return true;
    }
    return false;
  }
};

}  // namespace tide::heap
