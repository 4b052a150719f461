#include "inspect/page_pins.h"

#include <algorithm>
#include <bit>

#include "inspect/fill_map.h"

namespace tide::inspect {
namespace {

constexpr uint64_t kPage = kFillPage;

// The pages of a block that is at [begin, end) of its span: visit(page, bytes of it there).
template <class Visit>
void for_each_page(uint64_t begin, uint64_t end, Visit visit) {
  for (uint64_t page = begin / kPage; page * kPage < end; ++page) {
    visit(page, std::min(end, (page + 1) * kPage) - std::max(begin, page * kPage));
  }
}

bool is_set(std::span<const uint64_t> bits, uint64_t at) {
  return (bits[at / 64] >> at % 64 & 1) != 0;
}

// Of [first, last).
uint64_t count_bits(std::span<const uint64_t> bits, uint64_t first, uint64_t last) {
  uint64_t count = 0;
  for (uint64_t at = first; at < last; at = (at | 63) + 1) {
    uint64_t word = bits[at / 64] & UINT64_MAX << at % 64;
    if ((at | 63) >= last) word &= ~(UINT64_MAX << last % 64);
    count += static_cast<uint64_t>(std::popcount(word));
  }
  return count;
}

}  // namespace

// Of small blocks a page has many: those that lie on it whole are counted by the word.
void PagePins::count_live(const walk::Span& span, size_t pages) {
  const uint64_t bytes = pages * kPage;
  const uint64_t blocks = span.live.size() * 64;
  live_.assign(pages, 0);
  for (uint64_t page = 0; page < pages; ++page) {
    const uint64_t begin = page * kPage;
    const uint64_t end = std::min(begin + kPage, bytes);
    const uint64_t first = begin / span.block_bytes;
    const uint64_t last = std::min((end - 1) / span.block_bytes + 1, blocks);
    if (first >= last) break;
    uint64_t live = count_bits(span.live, first, last) * span.block_bytes;
    // What the first and the last have on other pages.
    if (is_set(span.live, first)) live -= begin - first * span.block_bytes;
    const uint64_t last_end = last * span.block_bytes;
    if (last_end > end && is_set(span.live, last - 1)) live -= last_end - end;
    live_[page] = static_cast<uint32_t>(live);
  }
}

void PagePins::add(const walk::Span& span) {
  // A block that has pages of its own keeps no others.
  if (span.is_free || span.block_bytes == 0 || span.live.empty()) return;
  const size_t pages = (span.range.end - span.range.start) / kPage;
  count_live(span, pages);
  for (const uint32_t live : live_) {
    if (live != 0 && live < kPage) total_bytes_ += kPage - live;
  }
  auto at = std::lower_bound(blocks_.begin(), blocks_.end(), span.range.start);
  for (; at != blocks_.end() && *at < span.range.end; ++at) {
    const uint64_t number = (*at - span.range.start) / span.block_bytes;
    if (number / 64 >= span.live.size() || (span.live[number / 64] >> number % 64 & 1) == 0)
      continue;
    const uint64_t begin = number * span.block_bytes;
    for_each_page(begin, std::min(begin + span.block_bytes, pages * kPage),
                  [&](uint64_t page, uint64_t part) {
                    if (live_[page] == 0 || live_[page] >= kPage) return;
                    pins_.push_back(
                        {static_cast<size_t>(at - blocks_.begin()), span.range.start + page * kPage,
                         static_cast<double>(kPage - live_[page]) * static_cast<double>(part) /
                             static_cast<double>(live_[page])});
                  });
  }
}

}  // namespace tide::inspect
