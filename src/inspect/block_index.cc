#include "inspect/block_index.h"

#include <algorithm>

#include "host/error.h"

namespace tide::inspect {

BlockIndex::BlockIndex(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  add_regions(heaps);
  reserve_lengths();
  std::vector<Stretch> stretches;
  const Region* region = nullptr;
  for (const auto& heap : heaps) {
    const walk::Unknown unknown = heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        if (!mark(block, region_of(block.address, region))) {
          ++unknown_.parts;
          unknown_.bytes += block.bytes;
          unknown_.reason = "blocks overlap, or lie where no block can be";
          continue;
        }
        if (stretches.empty() || stretches.back().region != region ||
            block.address < stretches.back().last) {
          stretches.push_back({region, block.address, block.address, lengths_.size(), 0});
        }
        stretches.back().last = block.address;
        lengths_.push_back(store_length(block.bytes));
      }
      return lengths_.size() < kNone;
    });
    unknown_.add(unknown);
  }
  if (lengths_.size() >= kNone) {
    throw host::Error("the heap has more than 4,294,967,293 blocks: too many");
  }
  number_pages();
  if (!put_lengths_in_order(std::move(stretches))) take_lengths_again(heaps);
  note_long_blocks();
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
      regions_.push_back({range.start, range.end, {}});
    }
  }
  for (Region& region : regions_) {
    try {
      region.pages.resize((region.end - region.start) >> kPageShift);
    } catch (const std::bad_alloc&) {
      throw host::Error("the heap spans " + std::to_string(region.end - region.start) +
                        " bytes of addresses: too many for this machine's memory");
    }
  }
}

// Room that is not used costs nothing, and room that grows is cleared and copied twice.
void BlockIndex::reserve_lengths() {
  constexpr uint64_t kMost = uint64_t{64} << 20;
  uint64_t granules = 0;
  for (const Region& region : regions_) granules += (region.end - region.start) >> kGranuleShift;
  try {
    lengths_.reserve(std::min(granules, kMost));
  } catch (const std::bad_alloc&) {
    // It grows, then.
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
  host::LargeVector<Page>& pages = regions_[static_cast<size_t>(region - regions_.data())].pages;
  uint64_t& word = pages[region->page_of(block.address)].starts[granule / 64];
  const uint64_t bit = uint64_t{1} << (granule % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  if (block.bytes == 0) return true;
  live_bytes_ += block.bytes;
  lowest_ = std::min(lowest_, block.address);
  highest_ = std::max(highest_, block.address + block.bytes - 1);
  return true;
}

// As lengths_ has it.
uint32_t BlockIndex::store_length(uint64_t bytes) {
  if (bytes < kIsLong) return static_cast<uint32_t>(bytes);
  long_lengths_.push_back(bytes);
  return static_cast<uint32_t>(long_lengths_.size() - 1) | kIsLong;
}

void BlockIndex::number_pages() {
  uint32_t count = 0;
  for (Region& region : regions_) {
    for (Page& page : region.pages) {
      page.before = count;
      for (uint32_t w = 0; w < kWordsPerPage; ++w) {
        page.before_word[w] = static_cast<uint8_t>(count - page.before);
        count += count_ones(page.starts[w]);
      }
    }
  }
}

// From the order in which the blocks were shown to that of their addresses. False: stretches lie in
// one another.
bool BlockIndex::put_lengths_in_order(std::vector<Stretch> stretches) {
  for (size_t i = 0; i < stretches.size(); ++i) {
    stretches[i].end = i + 1 < stretches.size() ? stretches[i + 1].begin : lengths_.size();
  }
  const auto is_before = [](const Stretch& a, const Stretch& b) { return a.first < b.first; };
  const bool is_in_order = std::is_sorted(stretches.begin(), stretches.end(), is_before);
  if (!is_in_order) std::sort(stretches.begin(), stretches.end(), is_before);
  for (size_t i = 1; i < stretches.size(); ++i) {
    if (stretches[i].first < stretches[i - 1].last) return false;
  }
  if (is_in_order) return true;
  host::LargeVector<uint32_t> ordered;
  ordered.reserve(lengths_.size());
  for (const Stretch& stretch : stretches) {
    const uint32_t* const lengths = lengths_.data();
    ordered.insert(ordered.end(), lengths + stretch.begin, lengths + stretch.end);
  }
  lengths_ = std::move(ordered);
  return true;
}

void BlockIndex::take_lengths_again(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  long_lengths_.clear();
  std::fill(lengths_.begin(), lengths_.end(), 0);
  const Region* region = nullptr;
  for (const auto& heap : heaps) {
    heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        const uint32_t number = find_start_in(region_of(block.address, region), block.address);
        if (number == kNone || lengths_[number] != 0) continue;
        if (block.bytes <= region->end - block.address) {
          lengths_[number] = store_length(block.bytes);
        }
      }
      return true;
    });
  }
}

// Of a block that goes on in the next pages these say where it begins. A block ends where the next
// one begins, whatever its length says.
void BlockIndex::note_long_blocks() {
  for (Region& region : regions_) {
    for (size_t first = 0; first < region.pages.size(); ++first) {
      const Page& page = region.pages[first];
      if (!page.has_starts()) continue;
      constexpr uint32_t kLastWord = kWordsPerPage - 1;
      const uint32_t last =
          page.before + page.before_word[kLastWord] + count_ones(page.starts[kLastWord]) - 1;
      const uint64_t bytes = bytes_of(last);
      if (bytes == 0) continue;
      const uint64_t end = first + ((page.last_start() + bytes - 1) >> kPageShift);
      for (size_t p = first + 1; p <= end; ++p) {
        region.pages[p].back = static_cast<uint32_t>(p - first);
        if (region.pages[p].has_starts()) break;
      }
    }
  }
}

uint32_t BlockIndex::find(uint64_t address) const {
  const Region* const region = region_of(address);
  return region == nullptr
             ? kNone
             : block_of(nearest_in(&region->pages[region->page_of(address)], address));
}

uint32_t BlockIndex::find_start(uint64_t address) const {
  return find_start_in(region_of(address), address);
}

uint32_t BlockIndex::find_start_in(const Region* region, uint64_t address) {
  if (region == nullptr || address % kGranuleBytes != 0) return kNone;
  const uint64_t granule = (address & (kPageBytes - 1)) >> kGranuleShift;
  const Page& page = region->pages[region->page_of(address)];
  if ((page.starts[granule / 64] >> (granule % 64) & 1) == 0) return kNone;
  return nearest_in(&page, address).block;
}

uint64_t BlockIndex::address_of(uint32_t block) const {
  auto region =
      std::upper_bound(regions_.begin(), regions_.end(), block,
                       [](uint32_t number, const Region& r) { return number < r.pages[0].before; });
  --region;  // the last with none or some before: the first region has none
  const Page* const begin = region->pages.data();
  const Page* const page =
      std::upper_bound(begin, begin + region->pages.size(), block,
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
