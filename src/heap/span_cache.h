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
    return bytes - layout::kClassedMaxBytes - 1 < kMostSpanBytes - layout::kClassedMaxBytes;
  }

  // What a block of `bytes` is given, so that it has all pages of its length.
  static size_t rounded(size_t bytes) {
    const uint32_t length = layout::span_length(LargeZone<Vm>::pages_for(bytes));
    return size_t{layout::pages_of_span_length(length)} << layout::kSpanPageShift;
  }

  // The list that a block of `bytes` comes from: of its own length, else of the next; or null.
  static TIDE_INLINE uint32_t* list_for(Lists& lists, size_t bytes) {
    uint32_t* const list = &lists.first[layout::span_length(LargeZone<Vm>::pages_for(bytes))];
    if (TIDE_LIKELY(list[0] != 0)) return list;
    return list[1] != 0 ? list + 1 : nullptr;
  }

  // The first of a list. What is in the block is unknown.
  TIDE_INLINE void* take(uint32_t* list) {
    const uint32_t page = *list - 1;
    layout::SpanEntry& entry = zone_.entry(page);
    base::racy_store(*list, entry.next);
    std::atomic_signal_fence(std::memory_order_release);
    lists_.needed |= uint64_t{1} << (list - lists_.first);
    base::racy_store(lists_.uses, lists_.uses + 1);
    base::racy_store(lists_.count, lists_.count - 1);
    base::racy_store(lists_.pages, lists_.pages - entry.pages);
    const auto length = static_cast<uint32_t>(list - lists_.first);
    base::racy_store(lists_.long_pages, lists_.long_pages - long_part(length, entry.pages));
    return zone_.leave_cache(page);
  }
  void* take(size_t bytes, size_t alignment = 0) {
    if (alignment > layout::kSpanPageBytes) return take_aligned(bytes, alignment);
    uint32_t* const list = list_for(lists_, bytes);
    return list == nullptr ? nullptr : take(list);
  }

  // The thread takes one that is not at hand.
  void note_taking() { lists_.needed |= kHasTaken; }

  // One of the first few that lies as wished; or null.
  void* take_aligned(size_t bytes, size_t alignment) {
    constexpr int kTries = 8;
    uint32_t* const list = list_for(lists_, bytes);
    if (list == nullptr) return nullptr;
    uint32_t* link = list;
    for (int i = 0; i < kTries && *link != 0; ++i, link = &zone_.entry(*link - 1).next) {
      const uint32_t page = *link - 1;
      if (!base::is_aligned(zone_.address_of_page(page), alignment)) continue;
      // To the front, from where take() has it. A fork in between loses it.
      base::racy_store(*link, zone_.entry(page).next);
      zone_.entry(page).next = *list;
      std::atomic_signal_fence(std::memory_order_release);
      base::racy_store(*list, page + 1);
      return take(list);
    }
    return nullptr;
  }

  // Keeps the live block that starts at `p`, which then is free. False: not possible, or not
  // without make_room(); nothing has changed.
  TIDE_INLINE bool put(const void* p) {
    const uint32_t pages = zone_.pages_of_live(p);
    const uint32_t length = layout::span_length_within(pages);
    if (length >= layout::kSpanLengths || lists_.pages + pages > lists_.most_pages) return false;
    const uint32_t part = long_part(length, pages);
    const uint32_t long_pages = lists_.long_pages + part;
    if (long_pages > lists_.most_long_pages && part != 0 && part != long_pages) return false;
    layout::SpanEntry& entry = zone_.enter_cache(p);
    entry.next = lists_.first[length];
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(lists_.first[length], zone_.page_of(&entry) + 1);
    base::racy_store(lists_.uses, lists_.uses + 1);
    base::racy_store(lists_.count, lists_.count + 1);
    base::racy_store(lists_.pages, lists_.pages + pages);
    base::racy_store(lists_.long_pages, long_pages);
    return true;
  }

  // The same where at most `most_bytes` may be kept in all. The bytes that have to leave for it are
  // added to `left_bytes`.
  bool put(const void* p, size_t most_bytes, size_t& left_bytes) {
    const uint32_t pages = zone_.pages_of_live(p);
    auto most_pages = static_cast<uint32_t>(most_bytes >> layout::kSpanPageShift);
    if (lists_.needed == 0 && most_pages > kMostOneWay) most_pages = kMostOneWay;
    base::racy_store(lists_.most_pages, most_pages);
    base::racy_store(lists_.most_long_pages, most_pages / kLongShare);
    const uint32_t length = layout::span_length_within(pages);
    if (length >= layout::kSpanLengths) return false;
    if (lists_.pages + pages > most_pages) {
      if (pages > most_pages / 2) return false;
      left_bytes += make_room(~uint64_t{0}, lists_.pages + pages - most_pages);
    }
    if (const uint32_t part = long_part(length, pages)) {
      const uint32_t all = lists_.long_pages + part;
      if (all > lists_.most_long_pages) {
        const uint32_t excess = all - lists_.most_long_pages;
        left_bytes +=
            make_room(kLongLengths, excess < lists_.long_pages ? excess : lists_.long_pages);
      }
    }
    // The short way ends where so much more is kept: that is to be noticed.
    constexpr uint32_t kUnnoticed = (uint32_t{1} << 20) >> layout::kSpanPageShift;
    const uint32_t mark = lists_.pages + pages + kUnnoticed;
    if (mark < most_pages) base::racy_store(lists_.most_pages, mark);
    left_bytes += size_t{pages} << layout::kSpanPageShift;
    return put(p);
  }

  // All of them go back to the zone.
  void drain() {
    for (uint32_t length = 0; length < layout::kSpanLengths; ++length) {
      if (lists_.first[length] != 0) give_back(length, 0);
    }
    base::racy_store(lists_.most_pages, 0u);
    // A thread that vanished with a fork may have been about to count.
    base::racy_store(lists_.count, 0u);
    base::racy_store(lists_.pages, 0u);
    base::racy_store(lists_.long_pages, 0u);
  }

  // In a forked child: the sums of a cache whose thread may have vanished between two stores.
  void recount() {
    const Sums sums = sums_of_lists();
    if (sums.count == lists_.count && sums.pages == lists_.pages &&
        sums.long_pages == lists_.long_pages) {
      return;  // a page that the child need not copy
    }
    lists_.count = sums.count;
    lists_.pages = sums.pages;
    lists_.long_pages = sums.long_pages;
  }

  void verify() const {
    const Sums sums = sums_of_lists();
    TIDE_ASSERT(sums.are_cached, "I-SPAN-3: what is in a thread's list is cached");
    TIDE_ASSERT(sums.count == lists_.count && sums.pages == lists_.pages &&
                    sums.long_pages == lists_.long_pages,
                "I-SPAN-3: a thread's cached spans add up");
  }

 private:
  // From 256 KiB on what a program writes into a block costs more than to ask the zone for it, and
  // the zone's free memory is there for all threads and lengths: of these a thread keeps less.
  static constexpr uint32_t kFirstLong =
      layout::span_length((layout::kMidMaxBytes >> layout::kSpanPageShift) + 1);
  static constexpr uint64_t kLongLengths = ~uint64_t{0} << kFirstLong;
  static constexpr uint32_t kLongShare = 4;
  // Stays in `needed`, which is 0 as long as a thread only frees. Such a one keeps little: the zone
  // has it for those that take.
  static constexpr uint64_t kHasTaken = uint64_t{1} << layout::kSpanLengths;
  static_assert(layout::kSpanLengths < 64);
  static constexpr uint32_t kMostOneWay = (size_t{512} << 10) >> layout::kSpanPageShift;
  static TIDE_INLINE uint32_t long_part(uint32_t length, uint32_t pages) {
    return length >= kFirstLong ? pages : 0;
  }

  struct Sums {
    uint32_t count = 0;
    uint32_t pages = 0;
    uint32_t long_pages = 0;
    bool are_cached = true;
  };

  Sums sums_of_lists() const {
    Sums sums;
    for (uint32_t length = 0; length < layout::kSpanLengths; ++length) {
      for (uint32_t at = lists_.first[length]; at != 0; at = zone_.entry(at - 1).next) {
        const layout::SpanEntry& entry = zone_.entry(at - 1);
        ++sums.count;
        sums.pages += entry.pages;
        sums.long_pages += long_part(length, entry.pages);
        sums.are_cached = sums.are_cached && entry.state == layout::SpanState::kCached &&
                          layout::span_length_within(entry.pages) == length;
      }
    }
    return sums;
  }

  uint64_t filled() const {
    uint64_t bits = 0;
    for (uint32_t length = 0; length < layout::kSpanLengths; ++length) {
      if (lists_.first[length] != 0) bits |= uint64_t{1} << length;
    }
    return bits;
  }

  // Spans of `lengths` leave until `wanted` pages have gone: of lengths that the thread has not
  // needed lately all, in turn; then of the others the older half. Returns their bytes.
  TIDE_NOINLINE size_t make_room(uint64_t lengths, uint32_t wanted) {
    const uint32_t before = lists_.pages;
    while (before - lists_.pages < wanted) {
      const uint64_t all = filled() & lengths;
      if (all == 0) {
        drain();
        break;
      }
      uint64_t victims = all & ~lists_.needed;
      const bool is_needed = victims == 0;
      if (is_needed) {
        victims = all;
        lists_.needed = (lists_.needed & ~lengths) | kHasTaken;
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
    const auto gone = zone_.release_cached(leaving);
    base::racy_store(lists_.count, lists_.count - gone.spans);
    base::racy_store(lists_.pages, lists_.pages - gone.pages);
    base::racy_store(lists_.long_pages, lists_.long_pages - long_part(length, gone.pages));
  }

  LargeZone<Vm>& zone_;
  Lists& lists_;
};

}  // namespace tide::heap
