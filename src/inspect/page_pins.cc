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

}  // namespace

void PagePins::count_live(const walk::Span& span, size_t pages) {
  const uint64_t bytes = pages * kPage;
  live_.assign(pages, 0);
  for (size_t w = 0; w < span.live.size(); ++w) {
    for (uint64_t bits = span.live[w]; bits != 0; bits &= bits - 1) {
      const uint64_t block = w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      const uint64_t begin = block * span.block_bytes;
      for_each_page(
          begin, std::min(begin + span.block_bytes, bytes),
          [&](uint64_t page, uint64_t part) { live_[page] += static_cast<uint32_t>(part); });
    }
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
