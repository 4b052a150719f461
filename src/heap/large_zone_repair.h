// Definitions of LargeZone's functions for a forked child. Included where they are called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

// In a forked child: a span that a vanished thread had in its hands.
template <sys::VmSource Vm>
void LargeZone<Vm>::settle(Entry& entry, bool keeps_hand) {
  // Some of its pages may have gone, others not.
  if (entry.state == State::kReturning && !keeps_hand) entry.state = State::kDirty;
  // Free, perhaps not even mapped. Lost to the child.
  if (entry.state == State::kBusy || entry.state == State::kInside) {
    entry.state = State::kUnusable;
  }
}

template <sys::VmSource Vm>
void LargeZone<Vm>::rebuild(bool keeps_hand) TIDE_NO_THREAD_SAFETY_ANALYSIS {
  for (SpanLists& lists : lists_) lists.reset();
  live_pages_ = live_blocks_ = 0;
  for (uint32_t page = 0; page < page_count(); page += entries_[page].pages) {
    Entry& entry = entries_[page];
    settle(entry, keeps_hand);
    if (entry.state == State::kLive || entry.state == State::kCached) {
      live_pages_ += entry.pages;
      ++live_blocks_;
    } else if (entry.state != State::kUnusable && entry.state != State::kReturning) {
      for (uint32_t after = page + entry.pages; after < page_count(); after = page + entry.pages) {
        settle(entries_[after], keeps_hand);
        if (entries_[after].state != entry.state) break;
        entry.pages += entries_[after].pages;
        entries_[after].state = State::kInside;
      }
      entries_[page + entry.pages - 1].pages = entry.pages;
      if (entry.pages > 1) entries_[page + entry.pages - 1].state = State::kInside;
      lists_of(entry.state).insert(page);
    }
  }
}

}  // namespace tide::heap
