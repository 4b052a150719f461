#include "walk/tide_tables.h"

#include <algorithm>
#include <cstring>

#include "layout/constants.h"
#include "walk/root_check.h"

namespace tide::walk {

// Each is mapped from its lower end on, without holes; the class map lies right below the states.
std::array<Range, 4> ZonePlace::tables() const {
  const std::array<uint64_t, 4> starts = {states - layout::kClassMapBytes, states, records,
                                          bitmaps};
  std::array<Range, 4> ranges{};
  for (size_t i = 0; i < ranges.size(); ++i) ranges[i] = {starts[i], starts[i] + table_bytes[i]};
  return ranges;
}

ZonePlace read_zone_place(const MemorySource& memory, const TideRoot& root,
                          const layout::ZoneAt& zone) {
  ZonePlace place;
  place.slab_bytes = zone.slab_bytes;
  uint64_t limit = 0;
  ReadBatch batch;
  batch.add(root.at(zone.base), place.base);
  batch.add(root.at(zone.states), place.states);
  batch.add(root.at(zone.records), place.records);
  batch.add(root.at(zone.bitmaps), place.bitmaps);
  batch.add(root.at(zone.limit), limit);
  batch.add(root.at(zone.untouched), place.untouched);
  for (size_t i = 0; i < place.table_bytes.size(); ++i) {
    batch.add(root.at(zone.tables[i]), place.table_bytes[i]);
  }
  batch.run(memory);
  const uint64_t slabs = limit / root.root.slabs.granules_per_slab;
  require_at_most(slabs, kMostSlabs);
  place.slabs = static_cast<uint32_t>(slabs);
  place.untouched = std::min(place.untouched, place.slabs);
  return place;
}

LargePlace read_large_place(const MemorySource& memory, const TideRoot& root) {
  const layout::LargeAt& at = root.root.large;
  LargePlace place;
  place.page_bytes = at.page_bytes;
  uint32_t pages = 0;
  ReadBatch batch;
  batch.add(root.at(at.base), place.base);
  batch.add(root.at(at.entries), place.entries);
  batch.add(root.at(at.page_count), pages);
  batch.add(root.at(at.table), place.table_bytes);
  batch.run(memory);
  place.pages = pages;
  return place;
}

HugeTable read_huge_table(const MemorySource& memory, const TideRoot& root) {
  const layout::HugeAt& at = root.root.huge;
  HugeTable result;
  const auto table = load_from<uint64_t>(memory, root.at(at.table));
  if (table == 0) return result;
  const auto capacity = load_from<uint64_t>(memory, table + at.capacity);
  const auto entries = load_from<uint64_t>(memory, table + at.entries);
  require_at_most(capacity, kMostHugeEntries);
  std::vector<std::byte> copy(capacity * at.entry_bytes);
  memory.read({{entries, copy.data(), copy.size()}});
  result.entries = {entries, entries + copy.size()};
  for (uint64_t i = 0; i < capacity; ++i) {
    const std::byte* const entry = &copy[i * at.entry_bytes];
    HugeBlock block{};
    uint16_t owner;
    std::memcpy(&block.address, entry + at.entry_address, sizeof block.address);
    std::memcpy(&block.bytes, entry + at.entry_size, sizeof block.bytes);
    std::memcpy(&owner, entry + at.entry_owner, sizeof owner);
    block.owner = owner;
    if (block.address > 1 && block.address + block.bytes > block.address) {
      result.blocks.push_back(block);
    }
  }
  std::sort(result.blocks.begin(), result.blocks.end(),
            [](const HugeBlock& a, const HugeBlock& b) { return a.address < b.address; });
  return result;
}

}  // namespace tide::walk
