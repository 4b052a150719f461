#include "inspect/block_index.h"

#include <algorithm>

#include "host/error.h"

namespace tide::inspect {

BlockIndex::BlockIndex(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  add_regions(heaps);
  uint64_t count = 0;
  const Region* region = nullptr;
  for (const auto& heap : heaps) {
    const walk::Unknown unknown = heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        if (mark(block, region_of(block.address, region))) {
          ++count;
        } else {
          ++unknown_.parts;
          unknown_.bytes += block.bytes;
          unknown_.reason = "blocks overlap, or lie where no block can be";
        }
      }
      return count < kNone;
    });
    unknown_.add(unknown);
  }
  if (count >= kNone) throw host::Error("the heap has more than 4,294,967,293 blocks: too many");
  number_pages();
  for (const auto& heap : heaps) {
    heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        set_length(block, region_of(block.address, region));
      }
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
    // Pages that nobody writes cost nothing.
    region.pages.reset(static_cast<Page*>(std::calloc(region.page_count(), sizeof(Page))));
    if (region.pages == nullptr) {
      throw host::Error("the heap spans " + std::to_string(region.end - region.start) +
                        " bytes of addresses: too many for this machine's memory");
    }
  }
}

const BlockIndex::Region* BlockIndex::region_of(uint64_t address) const {
  auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                [](uint64_t a, const Region& r) { return a < r.start; });
  if (after == regions_.begin()) return nullptr;
  --after;
  return address < after->end ? &*after : nullptr;
}

bool BlockIndex::mark(const walk::Block& block, const Region* region) {
  if (block.address % kGranuleBytes != 0) return false;
  if (region == nullptr || block.bytes > region->end - block.address) return false;
  const uint64_t granule = (block.address & (kPageBytes - 1)) >> kGranuleShift;
  uint64_t& word = region->page_of(block.address).starts[granule / 64];
  const uint64_t bit = uint64_t{1} << (granule % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

void BlockIndex::number_pages() {
  uint32_t count = 0;
  for (Region& region : regions_) {
    for (uint64_t p = 0; p < region.page_count(); ++p) {
      Page& page = region.pages[p];
      page.before = count;
      for (uint32_t w = 0; w < kWordsPerPage; ++w) {
        page.before_word[w] = static_cast<uint8_t>(count - page.before);
        count += count_ones(page.starts[w]);
      }
    }
  }
  lengths_.resize(count);
}

void BlockIndex::set_length(const walk::Block& block, const Region* region) {
  const uint32_t number = find_start_in(region, block.address);
  if (number == kNone || lengths_[number] != 0 || block.bytes == 0) return;
  if (block.bytes > region->end - block.address) return;
  if (block.bytes < kIsLong) {
    lengths_[number] = static_cast<uint32_t>(block.bytes);
  } else {
    lengths_[number] = static_cast<uint32_t>(long_lengths_.size()) | kIsLong;
    long_lengths_.push_back(block.bytes);
  }
  live_bytes_ += block.bytes;
  lowest_ = std::min(lowest_, block.address);
  highest_ = std::max(highest_, block.address + block.bytes - 1);

  // A block ends where the next one begins, whatever its length says.
  const uint64_t first = (block.address - region->start) >> kPageShift;
  const uint64_t last = (block.address + block.bytes - 1 - region->start) >> kPageShift;
  if (first < last && region->pages[first].last_start() != block.address % kPageBytes) return;
  for (uint64_t p = first + 1; p <= last; ++p) {
    region->pages[p].back = static_cast<uint32_t>(p - first);
    if (region->pages[p].has_starts()) break;
  }
}

uint32_t BlockIndex::find(uint64_t address) const {
  const Region* const region = region_of(address);
  return region == nullptr ? kNone : block_of(nearest_in(&region->page_of(address), address));
}

uint32_t BlockIndex::find_start(uint64_t address) const {
  return find_start_in(region_of(address), address);
}

uint32_t BlockIndex::find_start_in(const Region* region, uint64_t address) {
  if (region == nullptr || address % kGranuleBytes != 0) return kNone;
  const uint64_t granule = (address & (kPageBytes - 1)) >> kGranuleShift;
  const Page& page = region->page_of(address);
  if ((page.starts[granule / 64] >> (granule % 64) & 1) == 0) return kNone;
  return nearest_in(&page, address).block;
}

uint64_t BlockIndex::address_of(uint32_t block) const {
  auto region =
      std::upper_bound(regions_.begin(), regions_.end(), block,
                       [](uint32_t number, const Region& r) { return number < r.pages[0].before; });
  --region;  // the last with none or some before: the first region has none
  const Page* const begin = region->pages.get();
  const Page* const page =
      std::upper_bound(begin, begin + region->page_count(), block,
                       [](uint32_t number, const Page& p) { return number < p.before; }) -
      1;
  uint32_t left = block - page->before;
  uint32_t w = 0;
  for (; w < kWordsPerPage - 1; ++w) {
    const uint32_t here = count_ones(page->starts[w]);
    if (left < here) break;
    left -= here;
  }
  uint64_t bits = page->starts[w];
  for (; left != 0; --left) bits &= bits - 1;
  const auto granule = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
  return region->start + (static_cast<uint64_t>(page - begin) << kPageShift) +
         (uint64_t{granule} << kGranuleShift);
}

}  // namespace tide::inspect
