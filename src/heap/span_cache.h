// The spans that a thread cache keeps: freed blocks of the large zone, at hand for the same thread
// without a lock, in a list for each length (layout/span.h).
//
// A span's own entry says kCached; a list only says where to look. So a second free of the block is
// found at once, and no span can be handed out twice. A fork between two stores loses a span to the
// child, no more: it is in its state before it is in a list, and out of its list before it is live.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "heap/large_zone.h"
#include "layout/thread_cache.h"

namespace tide::heap {

template <sys::VmSource Vm>
class SpanCache {
 public:
  using Lists = layout::CachedSpans;

  // Spans of more bytes are not kept.
  static constexpr size_t kMostSpanBytes = size_t{layout::kMostCachedPages}
                                           << layout::kSpanPageShift;

  SpanCache(LargeZone<Vm>& zone, Lists& lists) : zone_(zone), lists_(lists) {}

  // Whether take() may be asked for `bytes`.
  static bool has_length(size_t bytes) {
    return bytes - layout::kMidMaxBytes - 1 < kMostSpanBytes - layout::kMidMaxBytes;
  }

  // A block of at least `bytes` that is at most an eighth longer, or null. What is in it is
  // unknown.
  TIDE_INLINE void* take(size_t bytes) {
    const uint32_t pages = LargeZone<Vm>::pages_for(bytes);
    const uint32_t length = layout::span_length(pages);
    // Those of the next length are all long enough, and seldom too long.
    const uint64_t near = lists_.filled >> length & 3;
    if (near == 0) return nullptr;
    if ((near & 1) != 0) {
      if (void* const block = take_from(length, pages, kSearch)) return block;
    }
    return (near & 2) != 0 ? take_from(length + 1, pages, 1) : nullptr;
  }

  // Keeps the live block that starts at `p`, which then is free; at most `most_bytes` in all. The
  // bytes that have to leave for it are added to `left_bytes`. False: not possible, nothing has
  // changed.
  TIDE_INLINE bool put(const void* p, size_t most_bytes, size_t& left_bytes) {
    const uint32_t pages = zone_.pages_of_live(p);
    if (pages - layout::kLeastCachedPages > layout::kMostCachedPages - layout::kLeastCachedPages) {
      return false;
    }
    const auto most_pages = static_cast<uint32_t>(most_bytes >> layout::kSpanPageShift);
    if (TIDE_UNLIKELY(lists_.pages + pages > most_pages)) {
      if (pages > most_pages / 2) return false;
      left_bytes += make_room(most_pages - pages);
    }
    const uint32_t length = layout::span_length(pages);
    layout::SpanEntry& entry = zone_.enter_cache(p);
    entry.next = lists_.first[length];
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(lists_.first[length], zone_.page_of(&entry) + 1);
    lists_.filled |= uint64_t{1} << length;
    base::racy_store(lists_.uses, lists_.uses + 1);
    base::racy_store(lists_.count, lists_.count + 1);
    base::racy_store(lists_.pages, lists_.pages + pages);
    return true;
  }

  // All of them go back to the zone.
  void drain() {
    while (lists_.filled != 0) {
      give_back(static_cast<uint32_t>(std::countr_zero(lists_.filled)), 0);
    }
    // A thread that vanished with a fork may have been about to count.
    base::racy_store(lists_.count, 0u);
    base::racy_store(lists_.pages, 0u);
  }

  // In a forked child: the sums of a cache whose thread may have vanished between two stores.
  void recount() {
    const Sums sums = sums_of_lists();
    if (sums.count == lists_.count && sums.pages == lists_.pages && sums.filled == lists_.filled) {
      return;  // a page that the child need not copy
    }
    lists_.count = sums.count;
    lists_.pages = sums.pages;
    lists_.filled = sums.filled;
  }

  void verify() const {
    const Sums sums = sums_of_lists();
    TIDE_ASSERT(sums.are_cached, "I-SPAN-3: what is in a thread's list is cached");
    TIDE_ASSERT(
        sums.count == lists_.count && sums.pages == lists_.pages && sums.filled == lists_.filled,
        "I-SPAN-3: a thread's cached spans add up");
  }

 private:
  struct Sums {
    uint32_t count = 0;
    uint32_t pages = 0;
    uint64_t filled = 0;
    bool are_cached = true;
  };

  Sums sums_of_lists() const {
    Sums sums;
    for (uint32_t length = 0; length < layout::kSpanLengths; ++length) {
      if (lists_.first[length] != 0) sums.filled |= uint64_t{1} << length;
      for (uint32_t at = lists_.first[length]; at != 0; at = zone_.entry(at - 1).next) {
        const layout::SpanEntry& entry = zone_.entry(at - 1);
        ++sums.count;
        sums.pages += entry.pages;
        sums.are_cached = sums.are_cached && entry.state == layout::SpanState::kCached &&
                          layout::span_length(entry.pages) == length;
      }
    }
    return sums;
  }

  // Spans of one length that are tried before the next length is.
  static constexpr uint32_t kSearch = 4;

  TIDE_INLINE void* take_from(uint32_t length, uint32_t pages, uint32_t most_tries) {
    uint32_t* link = &lists_.first[length];
    for (uint32_t tries = most_tries; *link != 0 && tries != 0; --tries) {
      const uint32_t page = *link - 1;
      layout::SpanEntry& entry = zone_.entry(page);
      const uint32_t slack = entry.pages - pages;  // wraps when too short
      if (slack > pages / 8) {
        link = &entry.next;
        continue;
      }
      base::racy_store(*link, entry.next);
      std::atomic_signal_fence(std::memory_order_release);
      const uint64_t bit = uint64_t{1} << length;
      if (lists_.first[length] == 0) lists_.filled &= ~bit;
      lists_.needed |= bit;
      base::racy_store(lists_.uses, lists_.uses + 1);
      base::racy_store(lists_.count, lists_.count - 1);
      base::racy_store(lists_.pages, lists_.pages - entry.pages);
      return zone_.leave_cache(page);
    }
    return nullptr;
  }

  // Spans leave until `most_pages` are kept at most: of lengths that the thread has not needed
  // lately all, in turn; then of the others the older half. Returns their bytes.
  TIDE_NOINLINE size_t make_room(uint32_t most_pages) {
    const uint32_t before = lists_.pages;
    while (lists_.pages > most_pages) {
      if (lists_.filled == 0) {
        drain();
        break;
      }
      uint64_t victims = lists_.filled & ~lists_.needed;
      const bool is_needed = victims == 0;
      if (is_needed) {
        victims = lists_.filled;
        lists_.needed = 0;
      }
      const uint64_t later = victims & ~uint64_t{0} << lists_.cursor << 1;
      const auto length = static_cast<uint32_t>(std::countr_zero(later != 0 ? later : victims));
      lists_.cursor = length;
      give_back(length, is_needed ? count_of(length) / 2 : 0);
    }
    return size_t{before - lists_.pages} << layout::kSpanPageShift;
  }

  uint32_t count_of(uint32_t length) const {
    uint32_t count = 0;
    for (uint32_t at = lists_.first[length]; at != 0; at = zone_.entry(at - 1).next) ++count;
    return count;
  }

  // Of one length all but the newest `kept`.
  void give_back(uint32_t length, uint32_t kept) {
    uint32_t* link = &lists_.first[length];
    for (; kept != 0; --kept) link = &zone_.entry(*link - 1).next;
    const uint32_t leaving = *link;
    base::racy_store(*link, 0u);
    std::atomic_signal_fence(std::memory_order_release);
    if (lists_.first[length] == 0) lists_.filled &= ~(uint64_t{1} << length);
    const auto gone = zone_.release_cached(leaving);
    base::racy_store(lists_.count, lists_.count - gone.spans);
    base::racy_store(lists_.pages, lists_.pages - gone.pages);
  }

  LargeZone<Vm>& zone_;
  Lists& lists_;
};

}  // namespace tide::heap
