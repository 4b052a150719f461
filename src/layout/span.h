// The large zone's page table: one entry per 4 KiB page, out of line. Only the entries of a span's
// first page, and of a free span's last page, mean anything.
//
// I-SPAN-1 from the first page on, heads follow each other without gap: head + pages is the next
// head, up to the zone's end. Every change keeps this true at each store, so that a forked child
// can rebuild all lists from it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "layout/constants.h"

namespace tide::layout {

enum class SpanState : uint8_t {
  kInside = 0,     // not a head
  kLive = 1,       // a block
  kDirty = 2,      // free, may be resident
  kClean = 3,      // free, reads as zero
  kBusy = 4,       // free, on no list: being cut or merged
  kUnusable = 5,   // something else is mapped there
  kUnmapped = 6,   // free, given up when address space ran out; may be mapped again
  kCached = 7,     // free, in the list of a thread cache
  kReturning = 8,  // dirty, on no list: its pages are being given back
};

inline constexpr uint32_t kNoPage = UINT32_MAX;

struct SpanEntry {
  uint32_t pages;  // head: length. Last page of a free span: the same
  uint32_t next;   // free: its bin's list. Cached: the list of its length, page + 1
  uint32_t previous;
  SpanState state;
  uint8_t spare;   // live: so many pages at the end are not the block's, see LargeZone::fit()
  uint16_t owner;  // as in Slab
};

static_assert(sizeof(SpanEntry) == 16);

// Lengths of the spans that threads keep: eight to a doubling. A block of such a length gets all
// pages of it, so that any free span of a length will do for the next.
inline constexpr uint32_t kLeastCachedPages = (kClassedMaxBytes >> kSpanPageShift) + 1;
inline constexpr uint32_t kMostCachedPages = (size_t{4} << 20) >> kSpanPageShift;

// The shortest length that holds `pages` from kLeastCachedPages to kMostCachedPages.
constexpr uint32_t span_length(uint32_t pages) {
  constexpr uint32_t kLog = std::bit_width(kLeastCachedPages - 1) - 1;
  const auto log = static_cast<uint32_t>(std::bit_width(pages - 1)) - 1;
  return (log - kLog) * 8 + (((pages - 1) >> (log - 3)) & 7);
}
inline constexpr uint32_t kSpanLengths = span_length(kMostCachedPages) + 1;
static_assert(std::has_single_bit(kLeastCachedPages - 1) && span_length(kLeastCachedPages) == 0);

// The longest length that `pages` are enough for; kSpanLengths or more: none.
constexpr uint32_t span_length_within(uint32_t pages) {
  if (pages - kLeastCachedPages > kMostCachedPages - kLeastCachedPages) return kSpanLengths;
  return span_length(pages + 1) - 1;
}

constexpr uint32_t pages_of_span_length(uint32_t length) {
  const uint32_t log =
      static_cast<uint32_t>(std::bit_width(kLeastCachedPages - 1)) - 1 + length / 8;
  return (9 + length % 8) << (log - 3);
}
static_assert(pages_of_span_length(kSpanLengths - 1) == kMostCachedPages);
static_assert(span_length_within(pages_of_span_length(0)) == 0);
static_assert(span_length_within(kMostCachedPages) == kSpanLengths - 1);

}  // namespace tide::layout
