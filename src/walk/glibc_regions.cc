// Where the arenas' chunks lie: the break, heaps of 64 MiB, and what the main arena mapped when the
// break could not be moved.
#include <algorithm>

#include "walk/glibc_arenas.h"
#include "walk/glibc_chain.h"

namespace tide::walk::glibc {
namespace {

constexpr size_t kMostRegions = 1 << 20;

void sort_regions(Arenas& arenas) {
  std::sort(arenas.regions.begin(), arenas.regions.end(),
            [](const Region& a, const Region& b) { return a.range.start < b.range.start; });
}

void add_heap(const Memory& memory, const Range& area, uint64_t at, Arenas& arenas) {
  const auto info = memory.load<HeapInfo>(at);
  if (!info.has_value() || info->arena == 0) return;
  const auto arena = std::find_if(arenas.all.begin(), arenas.all.end(), [&](const Arena& a) {
    return a.address == info->arena && !a.is_main;
  });
  if (arena == arenas.all.end()) return;
  if (info->bytes < kPageBytes || info->bytes % kPageBytes != 0 || info->bytes > area.end - at) {
    arenas.problems.push_back({at, "the size in the record of this heap makes no sense"});
    return;
  }
  // The first heap has its arena behind its record.
  const bool is_first = info->arena - at < kPageBytes;
  const uint64_t start = is_first ? align_up(info->arena + sizeof(ArenaState), kAlignment)
                                  : at + arenas.variant.heap_info_bytes;
  const auto number = static_cast<uint32_t>(arena - arenas.all.begin());
  arenas.regions.push_back({{start, at + info->bytes}, number, at, true});
}

void add_heaps(const Memory& memory, Arenas& arenas) {
  memory.for_each_heap_place([&](uint64_t at) {
    const Range* const area = memory.area_of(at);
    if (area != nullptr && arenas.regions.size() < kMostRegions) {
      add_heap(memory, *area, at, arenas);
    }
  });
}

// Where the top ends if it lies in `area`, else where that ends.
uint64_t end_in(const Memory& memory, const Range& area, uint64_t top) {
  if (!area.contains(top)) return area.end;
  const auto head = memory.load<Head>(top);
  if (!head.has_value() || head->bytes() > area.end - top) return area.end;
  return top + head->bytes();
}

// The part of the main arena that grows with the break.
void add_break(const Memory& memory, Arenas& arenas) {
  const Arena& arena = arenas.all[0];
  const std::vector<Segment>& segments = memory.target().segments();
  uint64_t start = arenas.parameters.has_value() ? arenas.parameters->break_start : 0;
  start = align_up(start, kAlignment);
  const Range* area = memory.area_of(start);
  bool is_exact = area != nullptr;
  if (!is_exact) {
    const auto named = std::find_if(segments.begin(), segments.end(),
                                    [](const Segment& s) { return s.file == "[heap]"; });
    area = memory.area_of(named != segments.end() ? named->start : arena.state.top);
    if (area == nullptr) return;
    start = named != segments.end() ? named->start : area->start;
  }
  uint64_t end = end_in(memory, *area, arena.state.top);
  if (start >= end) return;
  if (!is_exact && area->contains(arena.state.top) &&
      (arena.state.flags & ArenaState::kNotContiguous) == 0 &&
      end - start >= arena.state.system_bytes) {
    // It counts all up to its end, also what others have of it.
    start = align_up(end - arena.state.system_bytes, kAlignment);
    is_exact = true;
  }
  if (is_exact && (arena.state.flags & ArenaState::kNotContiguous) != 0) {
    // Behind its row may be what is not the arena's at all.
    ChainFinder finder(memory, end - start);
    end = finder.end_of_row(start, {end, arena.state.top, true}).value_or(end);
  }
  arenas.regions.push_back({{start, end}, 0, 0, is_exact});
}

bool is_covered(const Arenas& arenas, uint64_t address, uint64_t& end) {
  for (const Region& region : arenas.regions) {
    const uint64_t start = region.records != 0 ? region.records : region.range.start;
    if (address < start || address >= region.range.end) continue;
    end = region.range.end;
    return true;
  }
  return false;
}

// What a main arena mapped: rows of chunks that begin on a page and end at a fence or the top.
void add_mapped_parts(const Memory& memory, uint32_t number, Arenas& arenas) {
  const Arena& arena = arenas.all[number];
  for (const Range& area : memory.areas()) {
    ChainFinder finder(memory, area.end - area.start);
    for (uint64_t at = area.start; at < area.end;) {
      uint64_t covered = 0;
      if (is_covered(arenas, at, covered)) {
        at = align_up(covered, kPageBytes);
        continue;
      }
      const Bounds bounds{area.end, arena.state.top, true};
      const auto head = memory.load<Head>(at);
      const auto end = head.has_value() && head->is_before_in_use() ? finder.end_of_row(at, bounds)
                                                                    : std::nullopt;
      if (end.has_value() && arenas.regions.size() < kMostRegions) {
        arenas.regions.push_back({{at, *end}, number, 0, true});
      }
      if (end.has_value()) {
        at = align_up(*end, kPageBytes);
      } else {
        at = head.has_value() ? at + kPageBytes : memory.next_there(at);
      }
    }
  }
}

}  // namespace

void add_regions(const Memory& memory, Arenas& arenas) {
  add_heaps(memory, arenas);
  if (arenas.all[0].is_main && arenas.all[0].state.system_bytes != 0) add_break(memory, arenas);
  for (uint32_t number = 0; number < arenas.all.size(); ++number) {
    const Arena& arena = arenas.all[number];
    if (!arena.is_main || arena.state.system_bytes == 0) continue;
    if ((arena.state.flags & ArenaState::kNotContiguous) == 0) continue;
    add_mapped_parts(memory, number, arenas);
  }
  sort_regions(arenas);
}

}  // namespace tide::walk::glibc
