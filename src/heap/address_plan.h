// Where in the address space the zones and their tables grow.
//
// Nothing is reserved: each window is a range of addresses in which memory is mapped piece by piece
// from its lower end, so the process's address-space limit and its virtual size stay honest. The
// windows are so far apart, and at such an odd place, that others rarely map there; where they do,
// the growing end notices and goes round it (zone.h) or stops.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "ds/bitmap4096.h"
#include "layout/constants.h"
#include "layout/heap_header.h"
#include "layout/slab.h"
#include "layout/span.h"
#include "sys/vm.h"

namespace tide::heap {

struct AddressPlan {
  uintptr_t base = 0;
  size_t window_bytes = 0;  // of each zone; the tables share one more of the same size

  // The tables come first: cores are written by ascending addresses, and of one that was cut off
  // they say more than what they are about. The small zone comes last: what is mapped at the start
  // lies at both ends, so that whoever has reserved a large part of the place is noticed then.
  uintptr_t header() const { return base; }
  uintptr_t mid_zone() const { return base + window_bytes; }
  uintptr_t large_zone() const { return base + 2 * window_bytes; }
  uintptr_t small_zone() const { return base + 3 * window_bytes; }
  // Below each state map is the room for its zone's class map.
  uintptr_t small_states() const { return base + layout::kHeaderRoom + layout::kClassMapBytes; }
  uintptr_t mid_states() const {
    return small_states() + window_bytes / 16 + layout::kClassMapBytes;
  }
  uintptr_t small_slabs() const { return mid_states() + window_bytes / 128; }
  // From a zone's slab records to their bitmaps.
  static constexpr size_t bitmaps_offset(size_t window_bytes) { return window_bytes / 128; }
  uintptr_t mid_slabs() const { return small_slabs() + window_bytes / 64; }
  uintptr_t span_entries() const { return mid_slabs() + window_bytes / 64; }
};

static_assert(sizeof(layout::Slab) * 128 <=
                      (layout::kGranulesPerSlab << layout::kSmallGranuleShift) &&
                  sizeof(ds::Bitmap4096::Words) * 128 <=
                      (layout::kGranulesPerSlab << layout::kSmallGranuleShift),
              "the small zone's slab records fit their half of the share, and so do the bitmaps");
static_assert(sizeof(layout::SpanEntry) * 256 <= layout::kSpanPageBytes);

// The tables' window holds all of them.
inline constexpr unsigned kSmallestWindowLog = 26;
static_assert(layout::kHeaderRoom + 2 * layout::kClassMapBytes +
                  (size_t{1} << kSmallestWindowLog) / 8 <=
              size_t{1} << kSmallestWindowLog);

inline constexpr size_t kPlanAlignment = size_t{1} << 21;

// A plan for attempt 0, 1, ...; each attempt names another place. A false result: no more places.
template <sys::VmSource Vm>
bool plan_addresses(Vm& vm, unsigned attempt, AddressPlan& plan) {
  // Three places in all of the address space, then in ever smaller ones: some kernels and emulators
  // have fewer bits than the architecture.
  constexpr unsigned kPlacesPerSize = 3;
  const unsigned smaller = attempt / kPlacesPerSize * 4;
  const unsigned bits = vm.address_bits() > smaller ? vm.address_bits() - smaller : 0;
  if (bits >= 35) {
    // Somewhere between 5/16 and 13/16 of it: above what sanitizers and statically placed programs
    // use, below the stack and the libraries.
    plan.window_bytes = size_t{1} << (bits - 7);
    const uintptr_t space = uintptr_t{1} << bits;
    uint64_t random = vm.random_seed() + attempt * 0x9e3779b97f4a7c15;
    random ^= random >> 29;
    plan.base = base::align_down(space / 16 * 5 + random % (space / 16 * 8), kPlanAlignment);
    return true;
  }
  // Where hints are not followed (some sanitizers): the system names a place, for a plan that
  // halves until it fits.
  const unsigned first = vm.address_bits() > 35 ? (vm.address_bits() - 35) / 4 + 1 : 0;
  const unsigned halvings = attempt - first * kPlacesPerSize;
  const unsigned first_log = vm.address_bits() >= 46 ? 38 : 28;
  if (first_log < kSmallestWindowLog + halvings) return false;
  plan.window_bytes = size_t{1} << (first_log - halvings);
  const uintptr_t place = vm.find_free(4 * plan.window_bytes + kPlanAlignment);
  plan.base = place == 0 ? 0 : base::align_up(place, kPlanAlignment);
  return true;
}

}  // namespace tide::heap
