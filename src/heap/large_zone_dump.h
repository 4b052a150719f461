// Definitions of LargeZone's functions that leave free memory out of cores. Included where they are
// called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

// Cuts a span of whole steps that may be left out from a clean one; it is on no list. Returns its
// first page; kNoPage: there is none.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::claim_clean_steps(uint32_t least_steps, DumpSteps::Range& range) {
  constexpr uint32_t kStepPages = DumpSteps::kStepBytes >> layout::kSpanPageShift;
  const ds::LockGuard guard(lock_);
  SpanLists& clean = lists_of(State::kClean);
  uint32_t page = clean.find_long(kStepPages, [&](uint32_t candidate) {
    const auto all =
        DumpSteps::whole(offset_of(candidate), offset_of(candidate + entries_[candidate].pages));
    range = {all.first, all.first};
    do {
      range = steps_.next_dumped(range.end, all.end);
    } while (!range.is_empty() && !steps_.may_leave(range, least_steps, zone_.end()));
    return !range.is_empty();
  });
  if (page == layout::kNoPage) return page;
  clean.remove(page);
  base::racy_store(entries_[page].state, State::kBusy);
  const uint32_t first = range.first * kStepPages;
  if (first != page) page = split_front(page, first - page, State::kClean);
  trim_tail(page, (range.end - range.first) * kStepPages, State::kClean);
  // A forked child takes it for dirty.
  base::racy_store(entries_[page].state, State::kReturning);
  steps_.start_leaving(range);
  return page;
}

template <sys::VmSource Vm>
void LargeZone<Vm>::leave_out_free(Vm& vm) {
  if (!steps_.is_started()) return;
  {
    const ds::LockGuard guard(lock_);
    if (zone_.end() < DumpSteps::kLeastZone ||
        clean_bytes() < steps_.left_out_bytes() + DumpSteps::kStepBytes) {
      return;
    }
  }
  for (const uint32_t least_steps : DumpSteps::kLeastSteps) {
    DumpSteps::Range range{};
    for (;;) {
      const uint32_t page = claim_clean_steps(least_steps, range);
      if (page == layout::kNoPage) break;
      const bool done =
          vm.set_dumped(reinterpret_cast<void*>(base_ + range.offset()), range.bytes(), false);
      const ds::LockGuard guard(lock_);
      steps_.finish_leaving(range, done);
      insert_free(page, State::kClean);
      if (!done) return;
    }
  }
}

}  // namespace tide::heap
