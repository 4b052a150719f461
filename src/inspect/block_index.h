// Numbers for all live blocks of a program, and the way back from any address: what questions about
// references hang on.
//
// A bit per 16 bytes of heap says where blocks begin, a number per 4 KiB how many begin before; so
// the block that an address lies in costs no search. A block costs four bytes, for its length, and
// a heap 1/100 of its addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "walk/heap.h"

namespace tide::inspect {

class BlockIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Of all heaps together; they must stay. Throws host::Error when there are more than 2^32 - 2
  // blocks.
  explicit BlockIndex(std::span<const std::unique_ptr<walk::Heap>> heaps);

  // Numbers are [0, count()); they ascend with the addresses.
  uint32_t count() const { return static_cast<uint32_t>(lengths_.size()); }

  // The block that `address` lies in, its first byte or any other of its usable ones; kNone.
  uint32_t find(uint64_t address) const;
  // The block that begins at `address`, or kNone.
  uint32_t find_start(uint64_t address) const;

  uint64_t address_of(uint32_t block) const;
  uint64_t bytes_of(uint32_t block) const { return length(block); }

  // Whether an address may be one of a block at all, as quick as can be: [first, last].
  uint64_t lowest() const { return lowest_; }
  uint64_t highest() const { return highest_; }

  // visit(number, address, bytes) for blocks [begin, end), in order: quicker than asking for each.
  template <class Visit>
  void for_each(uint32_t begin, uint32_t end, Visit visit) const;

  const walk::Unknown& unknown() const { return unknown_; }
  // Bytes of all blocks.
  uint64_t live_bytes() const { return live_bytes_; }

 private:
  static constexpr unsigned kPageShift = 12;
  static constexpr uint64_t kPageBytes = uint64_t{1} << kPageShift;
  static constexpr unsigned kGranuleShift = 4;
  static constexpr uint32_t kWordsPerPage = kPageBytes >> kGranuleShift >> 6;
  // A length that does not fit in 31 bits counts pages.
  static constexpr uint32_t kInPages = uint32_t{1} << 31;

  struct Page {
    uint64_t starts[kWordsPerPage];  // a bit per granule: a block begins there
    uint32_t before;                 // blocks that begin before this page
    uint32_t back;  // pages back to where the block begins that the page begins in; 0: in none
  };
  struct Region {
    uint64_t start;
    uint64_t end;
    std::unique_ptr<Page[]> pages;
  };

  static uint64_t unit_of_length(uint32_t length) { return length & kInPages ? kPageBytes : 1; }
  uint64_t length(uint32_t block) const {
    const uint32_t stored = lengths_[block];
    return (stored & ~kInPages) * unit_of_length(stored);
  }
  const Region* region_of(uint64_t address) const;
  void add_regions(std::span<const std::unique_ptr<walk::Heap>> heaps);
  void mark(const walk::Block& block);
  void number_pages();
  void set_length(const walk::Block& block);

  std::vector<Region> regions_;
  std::vector<uint32_t> lengths_;
  walk::Unknown unknown_;
  uint64_t lowest_ = UINT64_MAX;
  uint64_t highest_ = 0;
  uint64_t live_bytes_ = 0;
};

template <class Visit>
void BlockIndex::for_each(uint32_t begin, uint32_t end, Visit visit) const {
  for (const Region& region : regions_) {
    const uint64_t pages = (region.end - region.start) >> kPageShift;
    for (uint64_t p = 0; p < pages; ++p) {
      const Page& page = region.pages[p];
      uint32_t number = page.before;
      if (number >= end) return;
      if (p + 1 < pages && region.pages[p + 1].before <= begin) continue;
      for (uint32_t w = 0; w < kWordsPerPage; ++w) {
        for (uint64_t bits = page.starts[w]; bits != 0; bits &= bits - 1, ++number) {
          if (number < begin) continue;
          if (number >= end) return;
          const auto granule = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
          visit(number, region.start + (p << kPageShift) + (uint64_t{granule} << kGranuleShift),
                length(number));
        }
      }
    }
  }
}

}  // namespace tide::inspect
