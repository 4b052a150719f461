// Definitions of LargeZone's functions that choose a free span and make a block of it. Included by
// large_zone.h.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

template <sys::VmSource Vm>
bool LargeZone<Vm>::has_dirty(size_t bytes) {
  const ds::LockGuard guard(lock_);
  const uint32_t pages = pages_for(bytes);
  return dirty().pages() >= pages && dirty().find(pages) != layout::kNoPage;
}

// The busy span at `page` becomes a live block of `pages`, what is too much of it is free again.
// Null: the hard limit forbids it.
template <sys::VmSource Vm>
void* LargeZone<Vm>::make_live(uint32_t page, uint32_t pages, size_t alignment, State kind,
                               uint16_t owner, bool& zeroed) {
  const uint32_t skip = pages_to_aligned(page, alignment);
  if (skip != 0) page = split_front(page, skip, kind);
  trim_tail(page, pages, kind);
  if (!admit(pages, kind)) {
    insert_free(page, kind);
    return nullptr;
  }
  steps_.want(offset_of(page), offset_of(page + pages));
  // Not before what is left over is back.
  if (kind == State::kDirty) low_water_.note(dirty_bytes());
  Entry& entry = entries_[page];
  zeroed = kind == State::kClean && !gave_back_lazily_;
  if (kind == State::kClean) base::racy_store(clean_taken_, clean_taken_ + bytes_of(pages));
  entry.owner = owner;
  entry.spare = 0;
  entry.next = entry.previous = layout::kNoPage;
  base::racy_store(live_pages_, live_pages_ + pages);
  base::racy_store(live_blocks_, live_blocks_ + 1);
  base::racy_store(entry.state, State::kLive);
  return reinterpret_cast<void*>(address_of_page(page));
}

// A free span of the list that has `pages` from an aligned one on, still in it, or kNoPage.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::find_in(const SpanLists& list, uint32_t pages, size_t alignment) const {
  const uint32_t slack = slack_for(alignment);
  if (slack == 0) return list.find(pages);
  const uint32_t page = list.find_fitting(pages, [&](uint32_t at) {
    return entries_[at].pages >= pages_to_aligned(at, alignment) + pages;
  });
  return page != layout::kNoPage ? page : list.find(pages + slack);
}

// A free span with `pages` from an aligned one on, taken off its list and busy; `kind` is what it
// was.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::take_free(Vm& vm, uint32_t pages, size_t alignment, State& kind) {
  for (const State state : {State::kDirty, State::kClean, State::kUnmapped}) {
    if (state == State::kClean && pages >= kLeastJoinedPages && dirty().pages() != 0) {
      kind = State::kDirty;
      const uint32_t page = take_joined(pages + slack_for(alignment));
      if (page != layout::kNoPage) return page;
    }
    // Only whole pages of the system can be mapped, so all of it.
    if (state == State::kUnmapped) pages += slack_for(alignment);
    for (;;) {
      const uint32_t page = state == State::kUnmapped ? lists_of(state).find(pages)
                                                      : find_in(lists_of(state), pages, alignment);
      if (page == layout::kNoPage) break;
      lists_of(state).remove(page);
      kind = state;
      entries_[page].state = State::kBusy;
      if (state != State::kUnmapped) return page;
      const auto wanted = static_cast<uint32_t>(
          base::align_up(size_t{pages} << layout::kSpanPageShift, vm.page_size()) >>
          layout::kSpanPageShift);
      trim_tail(page, wanted, State::kUnmapped);
      const auto result = map_again(vm, page);
      if (result == sys::MapResult::kOk) {
        kind = State::kClean;
        return page;
      }
      entries_[page].state = State::kUnusable;
      if (result == sys::MapResult::kNoMemory) {
        insert_free(page, State::kUnmapped);
        break;
      }
    }
  }
  return layout::kNoPage;
}

}  // namespace tide::heap
