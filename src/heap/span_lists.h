// Free spans in bins by length, eight bins to a doubling, one set for dirty and one for clean
// spans. Works on the large zone's page table; the zone's lock protects it.
#pragma once

#include <bit>
#include <cstdint>

#include "base/racy.h"
#include "layout/span.h"

namespace tide::heap {

class SpanLists {
 public:
  constexpr SpanLists() = default;

  void start(layout::SpanEntry* entries) { entries_ = entries; }

  // Forgets all spans; also what all bytes zero are.
  void reset() {
    used_[0] = used_[1] = used_[2] = 0;
    for (uint32_t& head : heads_) head = 0;
    base::racy_store(pages_, uint64_t{0});
    walk_next_ = walk_bins_ = 0;
  }

  void insert(uint32_t page) {
    layout::SpanEntry& entry = entries_[page];
    const uint32_t bin = bin_of(entry.pages);
    entry.previous = layout::kNoPage;
    entry.next = head(bin);
    if (entry.next != layout::kNoPage) entries_[entry.next].previous = page;
    heads_[bin] = page + 1;
    used_[bin / 64] |= uint64_t{1} << (bin % 64);
    base::racy_store(pages_, pages_ + entry.pages);
  }

  void remove(uint32_t page) {
    layout::SpanEntry& entry = entries_[page];
    if (walk_next_ == page + 1) walk_next_ = entry.next + 1;
    const uint32_t bin = bin_of(entry.pages);
    if (entry.previous == layout::kNoPage) {
      heads_[bin] = entry.next + 1;
      if (entry.next == layout::kNoPage) used_[bin / 64] &= ~(uint64_t{1} << (bin % 64));
    } else {
      entries_[entry.previous].next = entry.next;
    }
    if (entry.next != layout::kNoPage) entries_[entry.next].previous = entry.previous;
    base::racy_store(pages_, pages_ - entry.pages);
  }

  // A span of at least `pages`, still in its list, or kNoPage. Nearly the best fit: the bin of the
  // length itself is searched a little, then any span of the next bin that has one.
  uint32_t find(uint32_t pages) const {
    constexpr int kSearch = 16;
    const uint32_t exact = bin_of(pages);
    uint32_t candidate = head(exact);
    uint32_t best = layout::kNoPage;
    for (int i = 0; i < kSearch && candidate != layout::kNoPage; ++i) {
      const layout::SpanEntry& entry = entries_[candidate];
      if (entry.pages >= pages && (best == layout::kNoPage || entry.pages < entries_[best].pages)) {
        best = candidate;
        if (entry.pages == pages) break;
      }
      candidate = entry.next;
    }
    if (best != layout::kNoPage) return best;
    for (uint32_t bin = exact + 1; bin < kBins; bin = (bin / 64 + 1) * 64) {
      const uint64_t rest = used_[bin / 64] >> (bin % 64);
      if (rest != 0) return head(bin + static_cast<uint32_t>(std::countr_zero(rest)));
    }
    return layout::kNoPage;
  }

  // The first of a few spans of at least `pages`, the shorter ones first, that `fits` says yes to;
  // or kNoPage.
  template <class Predicate>
  uint32_t find_fitting(uint32_t pages, Predicate fits) const {
    int tries = 64;
    for (uint32_t bin = bin_of(pages); bin < kBins; ++bin) {
      const uint64_t rest = used_[bin / 64] >> (bin % 64);
      if (rest == 0) {
        bin |= 63;
        continue;
      }
      bin += static_cast<uint32_t>(std::countr_zero(rest));
      for (uint32_t page = head(bin); page != layout::kNoPage; page = entries_[page].next) {
        if (entries_[page].pages >= pages && fits(page)) return page;
        if (--tries == 0) return layout::kNoPage;
      }
    }
    return layout::kNoPage;
  }

  // The longest bin's first span, or kNoPage.
  uint32_t any_long() const {
    for (uint32_t word = 3; word-- != 0;) {
      if (used_[word] != 0) {
        return head(word * 64 + 63 - static_cast<uint32_t>(std::countl_zero(used_[word])));
      }
    }
    return layout::kNoPage;
  }

  // The first span, of those in bins of no fewer than `pages`, the longest before others, that
  // `is_good` says yes to; or kNoPage.
  template <class Predicate>
  uint32_t find_long(uint32_t pages, Predicate is_good) const {
    for (uint32_t bin = kBins; bin-- != bin_of(pages);) {
      for (uint32_t page = head(bin); page != layout::kNoPage; page = entries_[page].next) {
        if (is_good(page)) return page;
      }
    }
    return layout::kNoPage;
  }

  // find_long() in pieces, so that the lock can be left in between: one walk at a time, begun by
  // start_walk(). Looks at `most` spans; kNoPage: none of them, and is_walked() says whether there
  // are more. Spans that come meanwhile may be left out.
  void start_walk() {
    walk_bins_ = kBins;
    walk_next_ = 0;
  }
  template <class Predicate>
  uint32_t walk_long(uint32_t pages, uint32_t most, Predicate is_good) {
    for (; most != 0; --most) {
      while (walk_next_ == 0) {
        if (walk_bins_ <= bin_of(pages)) {
          walk_bins_ = 0;
          return layout::kNoPage;
        }
        walk_next_ = heads_[--walk_bins_];
      }
      const uint32_t page = walk_next_ - 1;
      walk_next_ = entries_[page].next + 1;
      if (is_good(page)) return page;
    }
    return layout::kNoPage;
  }
  bool is_walked() const { return walk_bins_ == 0; }

  uint64_t pages() const { return base::racy_load(pages_); }

 private:
  friend struct EngineMap;

  static constexpr uint32_t kBins = 192;

  // kNoPage + 1 is 0.
  uint32_t head(uint32_t bin) const { return heads_[bin] - 1; }

  // Lengths 1..8 have a bin each, then eight to a doubling.
  static uint32_t bin_of(uint32_t pages) {
    if (pages <= 8) return pages - 1;
    const auto log = static_cast<uint32_t>(std::bit_width(pages)) - 1;
    const uint32_t bin = 8 + (log - 3) * 8 + ((pages >> (log - 3)) & 7);
    return bin < kBins ? bin : kBins - 1;
  }

  layout::SpanEntry* entries_ = nullptr;
  uint64_t used_[3] = {};
  uint32_t heads_[kBins] = {};  // page + 1; 0: none
  uint64_t pages_ = 0;
  uint32_t walk_next_ = 0;  // page + 1, in bin walk_bins_; 0: the end of that bin
  uint32_t walk_bins_ = 0;  // bins from this one on are walked through
};

}  // namespace tide::heap
