// Definitions of LargeZone's functions that leave free memory out of cores. Included where they are
// called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

// Looks at some clean spans, and cuts one of whole steps that may be left out; it is on no list.
// Returns its first page; kNoPage: there was none, and `is_end` says whether it was the last look.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::claim_clean_steps(uint32_t least_steps, DumpSteps::Range& range,
                                          bool& is_end) {
  constexpr uint32_t kMostLooks = 256;
  constexpr uint32_t kStepPages = DumpSteps::kStepBytes >> layout::kSpanPageShift;
  const ds::LockGuard guard(lock_);
  SpanLists& clean = lists_of(State::kClean);
  uint32_t page = clean.walk_long(kStepPages, kMostLooks, [&](uint32_t candidate) {
    const auto all =
        DumpSteps::whole(offset_of(candidate), offset_of(candidate + entries_[candidate].pages));
    range = {all.first, all.first};
    do {
      range = steps_.next_dumped(range.end, all.end);
    } while (!range.is_empty() && !steps_.may_leave(range, least_steps, zone_.end()));
    return !range.is_empty();
  });
  is_end = clean.is_walked();
  if (page == layout::kNoPage) return page;
  clean.start_walk();
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
void LargeZone<Vm>::leave_out_free(Vm& vm, size_t least_bytes) {
  if (!steps_.is_started()) return;
  {
    const ds::LockGuard guard(lock_);
    if (zone_.end() < DumpSteps::kLeastZone ||
        clean_bytes() < steps_.left_out_bytes() + least_bytes) {
      return;
    }
  }
  for (const uint32_t least_steps : DumpSteps::kLeastSteps) {
    DumpSteps::Range range{};
    {
      const ds::LockGuard guard(lock_);
      lists_of(State::kClean).start_walk();
    }
    for (bool is_end = false; !is_end;) {
      const uint32_t page = claim_clean_steps(least_steps, range, is_end);
      if (page == layout::kNoPage) continue;
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
