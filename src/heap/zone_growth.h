// Definitions of Zone's functions that make it longer. Included by zone.h.
//
// A zone grows by huge pages where it is so long that one more or less does not count: the slabs of
// a huge page become resident together, with one call, and the processor's tables have one entry
// for all of them. Growing so is for memory that was never used; what has gone back comes again by
// the page.
#pragma once

#include "heap/zone.h"

namespace tide::heap {

// Small at first: a process that allocates little maps little. What is mapped ahead is in cores.
template <sys::VmSource Vm>
uint32_t Zone<Vm>::usual_growth() const {
  const uint32_t least = shift_ == layout::kSmallGranuleShift ? 16 : 4;
  const auto most = static_cast<uint32_t>((size_t{8} << 20) >> slab_shift());
  uint32_t count = slab_count() / 16 < most ? slab_count() / 16 : most;
  count = slab_count() + (count < least ? least : count);
  return static_cast<uint32_t>(DumpSteps::rounded_end(offset_of(count)) >> slab_shift()) -
         slab_count();
}

template <sys::VmSource Vm>
bool Zone<Vm>::begins_huge_page(uint32_t index) const {
  if (!grows_by_huge_pages_at(index) || index % slabs_of_huge_page() != 0) return false;
  // populate_huge() asks for the one before.
  for (uint32_t before = index - slabs_of_huge_page(); before != index; ++before) {
    if (slabs_[before].slot != layout::Slot::kMapped) return false;
  }
  return true;
}

template <sys::VmSource Vm>
uint32_t Zone<Vm>::acquire_behind(Vm& vm, uint32_t index, uint32_t most) {
  const ds::LockGuard guard(lock_);
  if (untouched_ != index + 1 || limits_->is_tight()) return 0;
  if (grows_by_huge_pages_at(index)) {
    most = slabs_of_huge_page() - 1 - index % slabs_of_huge_page();
    while (slab_count() - untouched_ < most && grow(vm, usual_growth())) {
    }
    if (untouched_ != index + 1) return 0;  // others have mapped something there
  }
  const uint32_t left = slab_count() - untouched_;
  const uint32_t count = most < left ? most : left;
  if (!limits_->admit(count * slab_bytes())) return 0;
  untouched_ += count;
  count_clean(count * slab_bytes());
  return count;
}

template <sys::VmSource Vm>
bool Zone<Vm>::map_again(Vm& vm) {
  while (unmapped_ != layout::kNoSlab) {
    layout::Slab& slab = slabs_[unmapped_];
    const sys::MapResult result = vm.map_at(slab_address(unmapped_), slab_bytes());
    if (result == sys::MapResult::kNoMemory) return false;
    const uint32_t index = unmapped_;
    unmapped_ = slab.next;
    if (result == sys::MapResult::kTaken) {
      slab.slot = layout::Slot::kTaken;
      continue;
    }
    slab.slot = layout::Slot::kMapped;
    slab.used_before = 0;
    base::racy_store(unmapped_bytes_, unmapped_bytes_ - slab_bytes());
    push(index, true);
    return true;
  }
  return false;
}

template <sys::VmSource Vm>
bool Zone<Vm>::cover_records(Vm& vm, size_t slabs) {
  return classes_window_.cover_records(vm, *limits_, slabs) &&
         states_window_.cover_records(vm, *limits_, slabs * layout::kGranulesPerSlab) &&
         slabs_window_.cover_records(vm, *limits_, slabs * sizeof(layout::Slab)) &&
         bitmaps_window_.cover_records(vm, *limits_, slabs * sizeof(Bitmap));
}

template <sys::VmSource Vm>
void Zone<Vm>::publish_end(size_t slabs) {
  base::published_store(limit_, slabs * layout::kGranulesPerSlab);
  if (!slow_frees_) base::published_store(fast_limit_, slabs * layout::kGranulesPerSlab);
}

template <sys::VmSource Vm>
bool Zone<Vm>::grow(Vm& vm, uint32_t slabs, bool is_start) {
  const size_t count = size_t{slab_count()} + slabs;
  if (!cover_records(vm, count)) return false;
  const sys::MapResult result = zone_.cover(vm, count * slab_bytes());
  if (result == sys::MapResult::kOk) publish_end(count);
  return result == sys::MapResult::kOk ||
         (result == sys::MapResult::kTaken && !is_start && grow_beyond(vm));
}

template <sys::VmSource Vm>
bool Zone<Vm>::grow_beyond(Vm& vm) {
  const uint32_t first = slab_count();
  const auto piece = zone_.take_beyond(vm, offset_of(first), slab_bytes());
  if (piece.bytes == 0) return false;
  // Only now: records count, and a place that is refused must leave none behind.
  const auto count = static_cast<uint32_t>(piece.end() >> slab_shift());
  if (!cover_records(vm, count)) {
    zone_.keep(piece);
    return false;
  }
  // New records are all zero: mapped and clean. Those before the hole must not be stranded.
  push_untouched();
  untouched_ = count - 1;
  for (uint32_t index = first; index < untouched_; ++index) {
    slabs_[index].slot = layout::Slot::kTaken;
  }
  publish_end(count);
  zone_.end_with(piece);
  return true;
}

}  // namespace tide::heap
