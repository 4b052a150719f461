// Numbers for all live blocks of a program, and the way back from any address: what questions about
// references hang on.
//
// A bit per 16 bytes of heap says where blocks begin, a number per 4 KiB how many begin before; so
// the block that an address lies in costs no search. A block costs four bytes, for its length, and
// a heap 1/100 of its addresses.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/large_memory.h"
#include "walk/heap.h"

namespace tide::inspect {

class BlockIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Of all heaps together; they are not needed afterwards. Throws host::Error when there are more
  // than 2^32 - 2 blocks, or more addresses than there is memory for.
  explicit BlockIndex(std::span<const std::unique_ptr<walk::Heap>> heaps);

  // Numbers are [0, count()); they ascend with the addresses.
  uint32_t count() const { return static_cast<uint32_t>(lengths_.size()); }

  // The block that `address` lies in, its first byte or any other of its usable ones; kNone.
  uint32_t find(uint64_t address) const;
  // The block that begins at `address`, or kNone.
  uint32_t find_start(uint64_t address) const;

  uint64_t address_of(uint32_t block) const;
  uint64_t bytes_of(uint32_t block) const {
    const uint32_t stored = lengths_[block];
    return stored & kIsLong ? long_lengths_[stored & ~kIsLong] : stored;
  }

  // No block has an address outside of [lowest, highest].
  uint64_t lowest() const { return lowest_; }
  uint64_t highest() const { return highest_; }

  // visit(number, address, bytes) for blocks [begin, end), in order: quicker than asking for each.
  template <class Visit>
  void for_each(uint32_t begin, uint32_t end, Visit visit) const;

  // Blocks that could not be read, and such as were left out because a block must begin at a
  // multiple of 16, in the heap's ranges, and not where another one does.
  const walk::Unknown& unknown() const { return unknown_; }
  // Bytes of all blocks.
  uint64_t live_bytes() const { return live_bytes_; }

  // The last block that begins at or before an address, and how far before; kNone: there is none.
  struct Nearest {
    uint32_t block;
    uint64_t distance;
  };

  // Finds in three steps, so that many can be under way: each asks memory for what the next one
  // will need. Remembers where the last one was: one per thread.
  class Finder;

 private:
  static constexpr unsigned kPageShift = 12;
  static constexpr uint64_t kPageBytes = uint64_t{1} << kPageShift;
  static constexpr unsigned kGranuleShift = 4;
  static constexpr uint64_t kGranuleBytes = uint64_t{1} << kGranuleShift;
  static constexpr uint32_t kWordsPerPage = kPageBytes >> kGranuleShift >> 6;
  // The rest is an index of long_lengths_.
  static constexpr uint32_t kIsLong = uint32_t{1} << 31;

  struct Page {
    uint64_t starts[kWordsPerPage];  // a bit per granule: a block begins there
    uint32_t before;                 // blocks that begin before this page
    uint32_t back;  // pages back to where the block begins that the page begins in; 0: in none
    uint8_t before_word[kWordsPerPage];  // blocks of this page that begin before each word of it

    bool has_starts() const { return (starts[0] | starts[1] | starts[2] | starts[3]) != 0; }
    uint64_t last_start() const;  // of the page's blocks, from its beginning; there must be one
  };
  static_assert(kWordsPerPage == 4);

  struct Region {
    uint64_t start;
    uint64_t end;
    host::LargeVector<Page> pages;

    uint64_t page_of(uint64_t address) const { return (address - start) >> kPageShift; }
  };
  // Blocks that the heaps have shown one after another, at ascending addresses of a region.
  struct Stretch {
    const Region* region;
    uint64_t first;
    uint64_t last;
    size_t begin;  // of their lengths, in the order of showing
    size_t end;
  };

  const Region* region_of(uint64_t address) const;
  // The same for blocks in a row: `last` is where the one before was.
  const Region* region_of(uint64_t address, const Region*& last) const {
    if (last == nullptr || address - last->start >= last->end - last->start) {
      last = region_of(address);
    }
    return last;
  }
  void add_regions(std::span<const std::unique_ptr<walk::Heap>> heaps);
  void reserve_lengths();
  bool mark(const walk::Block& block, const Region* region);
  uint32_t store_length(uint64_t bytes);
  void number_pages();
  bool put_lengths_in_order(std::vector<Stretch> stretches);
  void take_lengths_again(std::span<const std::unique_ptr<walk::Heap>> heaps);
  void note_long_blocks();
  static uint32_t find_start_in(const Region* region, uint64_t address);
  static Nearest nearest_in(const Page* page, uint64_t address);
  uint32_t block_of(const Nearest& nearest) const {
    // Most references lead to a block's beginning, and no block is empty.
    if (nearest.distance == 0 || nearest.block == kNone) return nearest.block;
    return nearest.distance < bytes_of(nearest.block) ? nearest.block : kNone;
  }

  std::vector<Region> regions_;
  host::LargeVector<uint32_t> lengths_;
  std::vector<uint64_t> long_lengths_;
  walk::Unknown unknown_;
  uint64_t lowest_ = UINT64_MAX;
  uint64_t highest_ = 0;
  uint64_t live_bytes_ = 0;
};

class BlockIndex::Finder {
 public:
  using Spot = const void*;

  explicit Finder(const BlockIndex& index) : index_(index) {}

  // Null: no block is there.
  Spot spot_of(uint64_t address) {
    if (address - start_ >= bytes_) {
      const Region* const region = index_.region_of(address);
      if (region == nullptr) return nullptr;
      start_ = region->start;
      bytes_ = region->end - region->start;
      pages_ = region->pages.data();
    }
    const Page* const page = pages_ + ((address - start_) >> kPageShift);
    __builtin_prefetch(page);
    __builtin_prefetch(&page->back);
    return page;
  }
  // Of a spot that is not null.
  Nearest nearest(Spot spot, uint64_t address) const {
    const Nearest found = nearest_in(static_cast<const Page*>(spot), address);
    if (found.distance != 0) __builtin_prefetch(&index_.lengths_[found.block]);
    return found;
  }
  uint32_t block_of(const Nearest& nearest) const { return index_.block_of(nearest); }
  uint32_t at(Spot spot, uint64_t address) const { return block_of(nearest(spot, address)); }

 private:
  const BlockIndex& index_;
  uint64_t start_ = 0;
  uint64_t bytes_ = 0;
  const Page* pages_ = nullptr;
};

inline uint64_t BlockIndex::Page::last_start() const {
  unsigned w = kWordsPerPage - 1;
  while (starts[w] == 0) --w;
  const auto granule = w * 64 + 63 - static_cast<unsigned>(std::countl_zero(starts[w]));
  return uint64_t{granule} << kGranuleShift;
}

// Without the instruction for it, which not every machine has that this runs on.
inline uint32_t count_ones(uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555;
  word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<uint32_t>((word * 0x0101010101010101) >> 56);
}

inline BlockIndex::Nearest BlockIndex::nearest_in(const Page* page, uint64_t address) {
  const uint64_t offset = address & (kPageBytes - 1);
  const auto granule = static_cast<uint32_t>(offset >> kGranuleShift);
  uint32_t w = granule / 64;
  uint64_t bits = page->starts[w] & (~uint64_t{0} >> (63 - granule % 64));
  // Blocks that begin in this page at or before the address.
  const uint32_t here = page->before_word[w] + count_ones(bits);
  uint64_t distance = offset;
  if (here == 0) {
    if (page->back == 0) return {kNone, 0};
    distance += (uint64_t{page->back} << kPageShift) - (page - page->back)->last_start();
  } else {
    while (bits == 0) bits = page->starts[--w];
    const auto begin = w * 64 + 63 - static_cast<uint32_t>(std::countl_zero(bits));
    distance -= uint64_t{begin} << kGranuleShift;
  }
  return {page->before + here - 1, distance};
}

template <class Visit>
void BlockIndex::for_each(uint32_t begin, uint32_t end, Visit visit) const {
  if (end > count()) end = count();
  if (begin >= end) return;
  uint64_t address = address_of(begin);
  uint32_t number = begin;
  for (const Region* region = region_of(address); number < end; ++region) {
    if (address < region->start) address = region->start;
    uint64_t p = (address - region->start) >> kPageShift;
    for (; p < region->pages.size() && number < end; ++p) {
      const Page& page = region->pages[p];
      uint32_t here = page.before;
      for (uint32_t w = 0; w < kWordsPerPage; ++w) {
        for (uint64_t bits = page.starts[w]; bits != 0; bits &= bits - 1, ++here) {
          if (here < number) continue;
          if (number == end) return;
          const auto granule = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
          visit(number, region->start + (p << kPageShift) + (uint64_t{granule} << kGranuleShift),
                bytes_of(number));
          ++number;
        }
      }
    }
  }
}

}  // namespace tide::inspect
