// Definitions of LargeZone's functions that give memory back. Included where they are called.
#pragma once

#include "heap/large_zone.h"

namespace tide::heap {

template <sys::VmSource Vm>
size_t LargeZone<Vm>::purge(Purger<Vm>& purger, size_t most_bytes, size_t least_bytes) {
  Vm& vm = purger.vm;
  if (purger.lazily) gave_back_lazily_ = true;
  size_t total = 0;
  while (total < most_bytes) {
    lock_.lock();
    uint32_t page = dirty().any_long();
    // Spans come longest first.
    if (page != layout::kNoPage && bytes_of(entries_[page].pages) < least_bytes) {
      page = layout::kNoPage;
    }
    uint32_t pages = 0;
    if (page != layout::kNoPage) {
      dirty().remove(page);
      base::racy_store(entries_[page].state, State::kReturning);
      const size_t left = most_bytes - total;
      const size_t wanted = base::align_up(left < kPurgeBytes ? left : kPurgeBytes, vm.page_size());
      if (wanted >> layout::kSpanPageShift < entries_[page].pages && wanted != 0) {
        trim_tail(page, static_cast<uint32_t>(wanted >> layout::kSpanPageShift), State::kDirty);
      }
      pages = entries_[page].pages;
    }
    lock_.unlock();
    if (page == layout::kNoPage) return total;
    // Where the system's pages are larger than ours only whole ones of its go.
    const uintptr_t start = address_of_page(page);
    const uintptr_t end = address_of_page(page + pages);
    const uintptr_t first = base::align_up(start, vm.page_size());
    const uintptr_t last = base::align_down(end, vm.page_size());
    const bool gone = last > first && purger.give_back(first, last - first);
    const ds::LockGuard guard(lock_);
    if (!gone) {
      insert_free(page, State::kDirty);
      return total;  // spans come longest first: no other has a whole page, or it was refused
    }
    total += last - first;
    limits_->dismiss(last - first);
    const auto head = static_cast<uint32_t>((first - start) >> layout::kSpanPageShift);
    const auto middle = static_cast<uint32_t>((last - first) >> layout::kSpanPageShift);
    uint32_t inner = page;
    if (head != 0) inner = split_front(page, head, State::kDirty);
    if (last != end) {
      cut(inner, middle, State::kBusy);
      insert_free(inner + middle, State::kDirty);
    }
    insert_free(inner, State::kClean);
  }
  return total;
}

template <sys::VmSource Vm>
size_t LargeZone<Vm>::unmap_free(Vm& vm) {
  const ds::LockGuard guard(lock_);
  if (!bring_all_steps_back(vm, steps_, base_, zone_.end())) return 0;
  size_t total = 0;
  for (const State state : {State::kDirty, State::kClean}) {
    // Longest first; a span that the kernel does not want to unmap ends it.
    for (;;) {
      const uint32_t page = lists_of(state).any_long();
      if (page == layout::kNoPage) break;
      const size_t bytes = size_t{entries_[page].pages} << layout::kSpanPageShift;
      const uintptr_t address = address_of_page(page);
      if (!base::is_aligned(address | bytes, vm.page_size())) break;
      lists_of(state).remove(page);
      entries_[page].state = State::kBusy;
      if (!vm.unmap(reinterpret_cast<void*>(address), bytes)) {
        insert_free(page, state);
        break;
      }
      total += bytes;
      count_unmapped(bytes);
      if (state == State::kDirty) limits_->dismiss(bytes);
      insert_free(page, State::kUnmapped);
    }
  }
  return total;
}

template <sys::VmSource Vm>
void LargeZone<Vm>::forget_unmapped(const void* p) {
  const ds::LockGuard guard(lock_);
  Entry& entry = entry_of(p);
  const uint32_t pages = entry.pages;
  base::racy_store(live_pages_, live_pages_ - pages);
  base::racy_store(live_blocks_, live_blocks_ - 1);
  limits_->dismiss(bytes_of(pages));
  count_unmapped(bytes_of(pages));
  insert_free(page_of(&entry), State::kUnmapped);
}

}  // namespace tide::heap
