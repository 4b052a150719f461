// Where the zones of a heap and their tables lie, and its blocks with mappings of their own: what
// every reader of a heap needs, by its root.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "walk/heap.h"
#include "walk/memory_source.h"
#include "walk/tide_root.h"

namespace tide::walk {

// The small or the mid zone.
struct ZonePlace {
  uint64_t base = 0;
  uint64_t states = 0;
  uint64_t records = 0;
  uint64_t bitmaps = 0;
  uint64_t slab_bytes = 0;
  uint32_t slabs = 0;      // mapped
  uint32_t untouched = 0;  // from this one on never taken
  // Mapped of each table: class map, state map, records, bitmaps.
  std::array<uint64_t, 4> table_bytes{};

  Range blocks() const { return {base, base + slabs * slab_bytes}; }
  std::array<Range, 4> tables() const;
};

struct LargePlace {
  uint64_t base = 0;
  uint64_t entries = 0;
  uint64_t pages = 0;
  uint64_t page_bytes = 0;
  uint64_t table_bytes = 0;

  Range blocks() const { return {base, base + pages * page_bytes}; }
  Range table() const { return {entries, entries + table_bytes}; }
};

// A live block with a mapping of its own.
struct HugeBlock {
  uint64_t address;
  uint64_t bytes;
  uint32_t owner;
};

struct HugeTable {
  Range entries{};
  std::vector<HugeBlock> blocks;  // by address
};

// These throw host::Error when something can't be read, or can't be.
ZonePlace read_zone_place(const MemorySource& memory, const TideRoot& root,
                          const layout::ZoneAt& zone);
LargePlace read_large_place(const MemorySource& memory, const TideRoot& root);
HugeTable read_huge_table(const MemorySource& memory, const TideRoot& root);

}  // namespace tide::walk
