#include "inspect/block_index.h"

#include <algorithm>
#include <bit>

#include "host/error.h"

namespace tide::inspect {

BlockIndex::BlockIndex(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  add_regions(heaps);
  uint64_t count = 0;
  for (const auto& heap : heaps) {
    const walk::Unknown unknown = heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) mark(block);
      count += blocks.size();
      return count < kNone;
    });
    unknown_.parts += unknown.parts;
    unknown_.bytes += unknown.bytes;
    if (unknown_.reason.empty()) unknown_.reason = unknown.reason;
  }
  if (count >= kNone) throw host::Error("the heap has more than 4,294,967,293 blocks: too many");
  number_pages();
  for (const auto& heap : heaps) {
    heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) set_length(block);
      return true;
    });
  }
}

// Regions on whole pages; such as touch become one.
void BlockIndex::add_regions(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  std::vector<walk::Range> ranges;
  for (const auto& heap : heaps) {
    for (const walk::Range& range : heap->ranges()) {
      const uint64_t start = range.start & ~(kPageBytes - 1);
      const uint64_t end = (range.end + kPageBytes - 1) & ~(kPageBytes - 1);
      if (start < end) ranges.push_back({start, end});
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const walk::Range& a, const walk::Range& b) { return a.start < b.start; });
  for (const walk::Range& range : ranges) {
    if (!regions_.empty() && range.start <= regions_.back().end) {
      regions_.back().end = std::max(regions_.back().end, range.end);
    } else {
      regions_.push_back({range.start, range.end, nullptr});
    }
  }
  for (Region& region : regions_) {
    region.pages = std::make_unique<Page[]>((region.end - region.start) >> kPageShift);
  }
}

const BlockIndex::Region* BlockIndex::region_of(uint64_t address) const {
  auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                [](uint64_t a, const Region& r) { return a < r.start; });
  if (after == regions_.begin()) return nullptr;
  --after;
  return address < after->end ? &*after : nullptr;
}

void BlockIndex::mark(const walk::Block& block) {
  const Region* const region = region_of(block.address);
  if (region == nullptr) return;
  const uint64_t offset = block.address - region->start;
  Page& page = region->pages[offset >> kPageShift];
  const uint64_t granule = (offset & (kPageBytes - 1)) >> kGranuleShift;
  page.starts[granule / 64] |= uint64_t{1} << (granule % 64);
}

void BlockIndex::number_pages() {
  uint32_t count = 0;
  for (Region& region : regions_) {
    const uint64_t pages = (region.end - region.start) >> kPageShift;
    for (uint64_t p = 0; p < pages; ++p) {
      region.pages[p].before = count;
      for (const uint64_t word : region.pages[p].starts) {
        count += static_cast<uint32_t>(std::popcount(word));
      }
    }
  }
  lengths_.resize(count);
}

void BlockIndex::set_length(const walk::Block& block) {
  const uint32_t number = find_start(block.address);
  if (number == kNone) return;
  lengths_[number] = block.bytes < kInPages
                         ? static_cast<uint32_t>(block.bytes)
                         : static_cast<uint32_t>(block.bytes >> kPageShift) | kInPages;
  live_bytes_ += block.bytes;
  lowest_ = std::min(lowest_, block.address);
  if (block.bytes != 0) highest_ = std::max(highest_, block.address + block.bytes - 1);
  const Region* const region = region_of(block.address);
  const uint64_t first = (block.address - region->start) >> kPageShift;
  const uint64_t end = std::min(block.address + block.bytes, region->end);
  const uint64_t last = (end - 1 - region->start) >> kPageShift;
  for (uint64_t p = first + 1; p <= last; ++p) {
    region->pages[p].back = static_cast<uint32_t>(p - first);
  }
}

uint32_t BlockIndex::find(uint64_t address) const {
  if (address < lowest_ || address > highest_) return kNone;
  const Region* const region = region_of(address);
  if (region == nullptr) return kNone;
  const uint64_t offset = address - region->start;
  const Page& page = region->pages[offset >> kPageShift];
  const uint64_t granule = (offset & (kPageBytes - 1)) >> kGranuleShift;
  // The last that begins in this page at or before the address.
  uint32_t here = 0;
  uint64_t begin = UINT64_MAX;
  for (uint32_t w = 0; w <= granule / 64; ++w) {
    uint64_t bits = page.starts[w];
    if (w == granule / 64) bits &= ~uint64_t{0} >> (63 - granule % 64);
    if (bits == 0) continue;
    here += static_cast<uint32_t>(std::popcount(bits));
    begin = uint64_t{w} * 64 + 63 - static_cast<uint64_t>(std::countl_zero(bits));
  }
  const uint64_t page_start = address & ~(kPageBytes - 1);
  if (here != 0) {
    const uint32_t number = page.before + here - 1;
    return address - (page_start + (begin << kGranuleShift)) < length(number) ? number : kNone;
  }
  if (page.back == 0) return kNone;
  const uint32_t number = page.before - 1;
  const Page& first = region->pages[(offset >> kPageShift) - page.back];
  uint64_t last_granule = 0;
  for (uint32_t w = 0; w < kWordsPerPage; ++w) {
    if (first.starts[w] == 0) continue;
    last_granule = uint64_t{w} * 64 + 63 - static_cast<uint64_t>(std::countl_zero(first.starts[w]));
  }
  const uint64_t start =
      page_start - (uint64_t{page.back} << kPageShift) + (last_granule << kGranuleShift);
  return address - start < length(number) ? number : kNone;
}

uint32_t BlockIndex::find_start(uint64_t address) const {
  if (address % (uint64_t{1} << kGranuleShift) != 0) return kNone;
  const Region* const region = region_of(address);
  if (region == nullptr) return kNone;
  const uint64_t offset = address - region->start;
  const Page& page = region->pages[offset >> kPageShift];
  const uint64_t granule = (offset & (kPageBytes - 1)) >> kGranuleShift;
  const uint64_t word = page.starts[granule / 64];
  const uint64_t bit = uint64_t{1} << (granule % 64);
  if ((word & bit) == 0) return kNone;
  uint32_t number = page.before + static_cast<uint32_t>(std::popcount(word & (bit - 1)));
  for (uint32_t w = 0; w < granule / 64; ++w) {
    number += static_cast<uint32_t>(std::popcount(page.starts[w]));
  }
  return number;
}

uint64_t BlockIndex::address_of(uint32_t block) const {
  for (const Region& region : regions_) {
    const uint64_t pages = (region.end - region.start) >> kPageShift;
    const Page* const begin = region.pages.get();
    const Page* const after = std::upper_bound(
        begin, begin + pages, block, [](uint32_t number, const Page& p) { return number < p.before; });
    if (after == begin) continue;
    const auto p = static_cast<uint64_t>(after - 1 - begin);
    uint32_t left = block - begin[p].before;
    for (uint32_t w = 0; w < kWordsPerPage; ++w) {
      uint64_t bits = begin[p].starts[w];
      const auto here = static_cast<uint32_t>(std::popcount(bits));
      if (left >= here) {
        left -= here;
        continue;
      }
      while (left-- != 0) bits &= bits - 1;
      const auto granule = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      return region.start + (p << kPageShift) + (uint64_t{granule} << kGranuleShift);
    }
  }
  return 0;  // no such number
}

}  // namespace tide::inspect
