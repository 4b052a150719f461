// Definitions of LargeZone's functions for pages that change zones, see engine_moves.h. Included
// where they are called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

template <sys::VmSource Vm>
bool LargeZone<Vm>::has_dirty(size_t bytes) {
  const ds::LockGuard guard(lock_);
  const uint32_t pages = pages_for(bytes);
  return dirty().pages() >= pages && dirty().find(pages) != layout::kNoPage;
}

// What a forked child finds of spans on their way is dirty.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::take_steps(Vm& vm, State kind, size_t bytes) {
  const uint32_t pages = pages_for(bytes);
  const ds::LockGuard guard(lock_);
  uint32_t page = find_in(lists_of(kind), pages, kMoveBytes);
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

template <sys::VmSource Vm>
void LargeZone<Vm>::put_steps(uint32_t page, State kind, size_t bytes, bool is_next_lost) {
  const State rest_kind = kind == State::kDirty ? State::kClean : State::kDirty;
  const ds::LockGuard guard(lock_);
  const uint32_t pages = pages_for(bytes);
  if (pages != 0) {
    if (pages == entries_[page].pages) return insert_free(page, kind);
    page = split_front(page, pages, kind);
  }
  if (is_next_lost) {
    trim_tail(page, pages_for(kMoveBytes), rest_kind);
    base::racy_store(entries_[page].state, State::kUnusable);
    unmapped_bytes_ += kMoveBytes;
  } else {
    insert_free(page, rest_kind);
  }
}

}  // namespace tide::heap
