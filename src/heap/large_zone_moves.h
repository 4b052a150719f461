// Definitions of LargeZone's functions for pages that change zones, see engine_moves.h. Included
// where they are called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

// What a forked child finds of spans on their way is dirty. Of dirty ones a step only.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::take_steps(Vm& vm, State kind, size_t bytes) {
  const uint32_t pages = pages_for(bytes);
  const ds::LockGuard guard(lock_);
  uint32_t page = find_in(lists_of(kind), pages, kMoveBytes);
  if (kind == State::kDirty && page != layout::kNoPage) {
    // As in Zone::is_step_in().
    const uint32_t first = page + pages_to_aligned(page, kMoveBytes);
    if (!steps_.is_in_cores(offset_of(first))) return layout::kNoPage;
  }
  if (page == layout::kNoPage) {
    if (kind == State::kDirty || !grow(vm, pages + slack_for(kMoveBytes))) return page;
    page = find_in(lists_of(kind), pages, kMoveBytes);
    if (page == layout::kNoPage) return page;
  }
  take_off(page);
  if (const uint32_t skip = pages_to_aligned(page, kMoveBytes)) {
    page = split_front(page, skip, kind);
  }
  base::racy_store(entries_[page].state, State::kReturning);
  trim_tail(page, pages, kind);
  if (kind == State::kClean) steps_.want(offset_of(page), offset_of(page + pages));
  return page;
}

// The system may unmap it and refuse then: lost to a child that is forked meanwhile.
template <sys::VmSource Vm>
void LargeZone<Vm>::start_step(uint32_t page) {
  const ds::LockGuard guard(lock_);
  const uint32_t pages = pages_for(kMoveBytes);
  if (entries_[page].pages != pages) cut(page, pages, State::kReturning);
  base::racy_store(entries_[page].state, State::kBusy);
}

template <sys::VmSource Vm>
void LargeZone<Vm>::put_steps(uint32_t page, uint32_t done, uint32_t end, State kind,
                              bool is_next_lost) {
  const State rest_kind = kind == State::kDirty ? State::kClean : State::kDirty;
  const ds::LockGuard guard(lock_);
  while (page != end) {
    const uint32_t next = page + entries_[page].pages;
    if (page == done && is_next_lost) {
      base::racy_store(entries_[page].state, State::kUnusable);
      count_unmapped(kMoveBytes);
    } else {
      insert_free(page, page < done ? kind : rest_kind);
    }
    page = next;
  }
}

}  // namespace tide::heap
