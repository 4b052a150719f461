#include "inspect/fill_map.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tide::inspect {
namespace {

constexpr uint64_t kPage = kFillPage;
constexpr size_t kMostSpansInPicture = 4096;
constexpr size_t kCells = 64;

}  // namespace

void FillSurvey::add(const walk::Span& span) {
  if (span.is_free) return;
  FragRow& row = rows_[span.block_bytes];
  row.block_bytes = span.block_bytes;
  ++row.spans;
  if (span.block_bytes == 0 || span.live.empty()) {
    add_whole(span, row);
  } else {
    add_slab(span, row);
  }
}

FragMap FillSurvey::take() {
  for (const auto& [bytes, row] : rows_) {
    map_.live_bytes += row.live_bytes;
    map_.page_bytes += row.pinned_pages * kPage;
    map_.rows.push_back(row);
  }
  const auto waste = [](const FragRow& row) { return row.pages * kPage - row.live_bytes; };
  std::stable_sort(map_.rows.begin(), map_.rows.end(),
                   [&](const FragRow& a, const FragRow& b) { return waste(a) > waste(b); });
  return std::move(map_);
}

void FillSurvey::add_whole(const walk::Span& span, FragRow& row) {
  const uint64_t bytes = span.range.end - span.range.start;
  row.live_bytes += span.live_blocks != 0 ? bytes : 0;
  row.pages += bytes / kPage;
  row.pinned_pages += span.live_blocks != 0 ? bytes / kPage : 0;
  draw(span, std::vector<uint8_t>(1, span.live_blocks != 0 ? 255 : 0));
}

void FillSurvey::add_slab(const walk::Span& span, FragRow& row) {
  const uint64_t bytes = span.range.end - span.range.start;
  const size_t pages = bytes / kPage;
  live_.assign(pages, 0);
  blocks_.assign(pages, 0);
  last_.assign(pages, 0);
  for (size_t w = 0; w < span.live.size(); ++w) {
    for (uint64_t bits = span.live[w]; bits != 0; bits &= bits - 1) {
      const uint64_t block = w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      const uint64_t begin = block * span.block_bytes;
      const uint64_t end = std::min(begin + span.block_bytes, bytes);
      for (uint64_t page = begin / kPage; page * kPage < end; ++page) {
        const uint64_t from = std::max(begin, page * kPage);
        const uint64_t to = std::min(end, (page + 1) * kPage);
        live_[page] += static_cast<uint32_t>(to - from);
        ++blocks_[page];
        last_[page] = begin;
      }
    }
  }
  row.pages += pages - std::min<uint64_t>(pages, span.returned_bytes / kPage);
  std::vector<uint8_t> fill(std::min(kCells, pages));
  std::vector<uint64_t> sums(fill.size());
  for (size_t page = 0; page < pages; ++page) {
    row.live_bytes += live_[page];
    sums[page * fill.size() / pages] += live_[page];
    if (live_[page] == 0) continue;
    ++row.pinned_pages;
    if (live_[page] >= kPage / 4) continue;
    ++row.sparse_pages;
    row.lonely_bytes += live_[page];
    if (blocks_[page] == 1 && map_.last.size() < most_last_) {
      map_.last.push_back({span.range.start + last_[page], span.block_bytes, span.range.start});
    }
  }
  for (size_t cell = 0; cell < fill.size(); ++cell) {
    fill[cell] = static_cast<uint8_t>(sums[cell] * 255 * fill.size() / bytes);
  }
  draw(span, std::move(fill));
}

void FillSurvey::draw(const walk::Span& span, std::vector<uint8_t> fill) {
  if (map_.spans.size() == kMostSpansInPicture) {
    ++map_.spans_left_out;
    return;
  }
  map_.spans.push_back(
      {span.range.start, span.range.end - span.range.start, span.block_bytes, std::move(fill)});
}

}  // namespace tide::inspect
