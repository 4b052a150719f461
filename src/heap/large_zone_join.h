// Definitions of LargeZone's functions for the end of a heap, and for joined neighbours: a long
// request that no dirty span fits takes a dirty one with the free spans beside it, whatever their
// kind. Only what was clean of them costs page faults, and the zone need not grow for the rest.
// Included by large_zone.h.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

// The free span that ends right before `page`, of either kind, or kNoPage.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::head_before_of_any(uint32_t page) const {
  if (page == 0) return layout::kNoPage;
  const uint32_t dirty = head_of_free_before(page, State::kDirty);
  return dirty != layout::kNoPage ? dirty : head_of_free_before(page, State::kClean);
}

// `pages` of what lies free around the dirty span at `page`, to its right first; first of length 0
// when there are not so many.
template <sys::VmSource Vm>
typename LargeZone<Vm>::Joined LargeZone<Vm>::neighbours_of(uint32_t page, uint32_t pages) const {
  uint32_t end = page;
  while (end - page < pages && end < page_count() && is_free(state_of(end))) {
    end += entries_[end].pages;
  }
  Joined joined{page, 0, 0};
  while (end - joined.first < pages) {
    joined.first = head_before_of_any(joined.first);
    if (joined.first == layout::kNoPage) return joined;
  }
  // What is too much goes off a span on the left, or else at the end.
  if (joined.first != page) joined.skipped = end - joined.first - pages;
  uint32_t missing = pages;
  uint32_t skipped = joined.skipped;
  for (uint32_t at = joined.first; missing != 0; at += entries_[at].pages) {
    const uint32_t usable = entries_[at].pages - skipped;
    const uint32_t used = usable < missing ? usable : missing;
    if (state_of(at) == State::kClean) joined.clean += used;
    missing -= used;
    skipped = 0;
  }
  return joined;
}

// A busy span of `pages`, which counts as dirty; or kNoPage.
template <sys::VmSource Vm>
uint32_t LargeZone<Vm>::take_joined(uint32_t pages) {
  Joined best{layout::kNoPage, 0, pages - pages / kLeastDirtyShare};
  uint32_t tries = kMostJoined;
  dirty().find_long(1, [&](uint32_t page) {
    const Joined found = neighbours_of(page, pages);
    if (found.first != layout::kNoPage && found.clean < best.clean) best = found;
    return --tries == 0;
  });
  if (best.first == layout::kNoPage || !limits_->admit(bytes_of(best.clean))) {
    return layout::kNoPage;
  }
  base::racy_store(clean_taken_, clean_taken_ + bytes_of(best.clean));
  uint32_t first = best.first;
  const State kind = take_off(first);
  if (best.skipped != 0) first = split_front(first, best.skipped, kind);
  absorb(first, pages);
  return first;
}

// The span at `page` takes of the free ones behind it until it has `pages`.
template <sys::VmSource Vm>
void LargeZone<Vm>::absorb(uint32_t page, uint32_t pages) {
  for (uint32_t have = entries_[page].pages; have < pages; have = entries_[page].pages) {
    const uint32_t next = page + have;
    const State kind = take_off(next);
    if (entries_[next].pages > pages - have) trim_tail(next, pages - have, kind);
    base::racy_store(entries_[page].pages, have + entries_[next].pages);
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(entries_[next].state, State::kInside);
  }
}

// The live span at `page` gets `pages` where it is. False: what is free behind it is too little.
template <sys::VmSource Vm>
bool LargeZone<Vm>::extend(uint32_t page, uint32_t pages) {
  uint32_t clean = 0;
  uint32_t end = page + entries_[page].pages;
  while (end - page < pages) {
    if (end >= page_count() || !is_free(state_of(end))) return false;
    const uint32_t missing = pages - (end - page);
    const uint32_t there = entries_[end].pages;
    if (state_of(end) == State::kClean) clean += there < missing ? there : missing;
    end += there;
  }
  if (!limits_->admit(bytes_of(clean))) return false;
  base::racy_store(entries_[page].spare, uint8_t{0});
  steps_.want(offset_of(page + entries_[page].pages), offset_of(page + pages));
  absorb(page, pages);
  low_water_.note(dirty_bytes());
  return true;
}

template <sys::VmSource Vm>
void LargeZone<Vm>::release_all_of(uint16_t owner) {
  const ds::LockGuard guard(lock_);
  uint32_t page = 0;
  while (page < page_count()) {
    const Entry& entry = entries_[page];
    uint32_t next = page + entry.pages;
    if (state_of(page) == State::kLive && entry.owner == owner) {
      // The free span behind it may be merged into this one.
      if (next < page_count() && state_of(next) == State::kDirty) {
        next += entries_[next].pages;
      }
      base::racy_store(live_pages_, live_pages_ - entry.pages);
      base::racy_store(live_blocks_, live_blocks_ - 1);
      insert_free(page, State::kDirty);
    }
    page = next;
  }
}

}  // namespace tide::heap
