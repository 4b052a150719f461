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
  const bool is_mixed = !span.pages.empty();
  FragRow& row = rows_[{span.block_bytes, is_mixed}];
  row.block_bytes = span.block_bytes;
  row.is_mixed = is_mixed;
  ++row.spans;
  if (is_mixed) {
    add_pages(span, span.pages, row);
  } else if (span.block_bytes == 0 || span.live.empty()) {
    add_whole(span, row);
  } else {
    add_slab(span, row);
  }
}

FragMap FillSurvey::take() {
  for (const auto& [key, row] : rows_) {
    map_.live_bytes += row.live_bytes;
    map_.page_bytes += row.pinned_pages * kPage;
    map_.rows.push_back(row);
  }
  const auto waste = [](const FragRow& row) {
    const uint64_t bytes = row.pages * kPage;
    return bytes > row.live_bytes ? bytes - row.live_bytes : 0;
  };
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
  pages_.assign(bytes / kPage, {});
  for (size_t w = 0; w < span.live.size(); ++w) {
    for (uint64_t bits = span.live[w]; bits != 0; bits &= bits - 1) {
      const uint64_t block = w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      const uint64_t begin = block * span.block_bytes;
      const uint64_t end = std::min(begin + span.block_bytes, bytes);
      for (uint64_t page = begin / kPage; page * kPage < end; ++page) {
        const uint64_t from = std::max(begin, page * kPage);
        const uint64_t to = std::min(end, (page + 1) * kPage);
        walk::PageFill& fill = pages_[page];
        fill.live_bytes += static_cast<uint32_t>(to - from);
        ++fill.blocks;
        fill.last = span.range.start + begin;
        fill.last_bytes = span.block_bytes;
      }
    }
  }
  add_pages(span, pages_, row);
}

void FillSurvey::add_pages(const walk::Span& span, std::span<const walk::PageFill> pages,
                           FragRow& row) {
  std::vector<uint8_t> fill(std::min(kCells, pages.size()));
  std::vector<uint64_t> sums(fill.size());
  uint64_t pinned = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    const walk::PageFill& page = pages[i];
    row.live_bytes += page.live_bytes;
    sums[i * fill.size() / pages.size()] += page.live_bytes;
    if (page.live_bytes == 0) continue;
    ++pinned;
    if (page.live_bytes >= kPage / 4) continue;
    ++row.sparse_pages;
    row.lonely_bytes += page.live_bytes;
    if (page.blocks == 1 && map_.last.size() < most_last_) {
      map_.last.push_back({page.last, page.last_bytes, span.range.start});
    }
  }
  row.pinned_pages += pinned;
  // What was touched may begin and end in the middle of a page.
  const uint64_t returned = std::min<uint64_t>(pages.size(), span.returned_bytes / kPage);
  row.pages += std::max(pages.size() - returned, pinned);
  for (size_t cell = 0; cell < fill.size(); ++cell) {
    fill[cell] = static_cast<uint8_t>(
        std::min<uint64_t>(255, sums[cell] * 255 * fill.size() / (pages.size() * kPage)));
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
