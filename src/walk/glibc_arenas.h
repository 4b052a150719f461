// Finds the arenas of glibc's malloc by their shape: no symbols, no names, no files.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "walk/glibc_layout.h"
#include "walk/glibc_memory.h"
#include "walk/heap.h"

namespace tide::walk::glibc {

struct Arena {
  uint64_t address = 0;
  bool is_main = false;
  bool has_fast_bins = true;  // all chunks of its fast bins are known
  bool has_state = true;      // else it is not in the core, and all of `state` is 0
  ArenaState state{};
};

// Chunks from its start to its end, or to the arena's top if that lies in it.
struct Region {
  Range range{};
  uint32_t arena = 0;          // its number
  uint64_t records = 0;        // where the allocator's own part before the chunks begins; 0: none
  bool is_start_known = true;  // else other memory may lie before the first chunk

  uint64_t bytes() const { return range.end - (records != 0 ? records : range.start); }
};

// More than this are no arenas, but a list that leads in circles.
inline constexpr size_t kMostArenas = 1 << 16;

struct Arenas {
  std::vector<Arena> all;       // number 0 is the main one, then as they were made
  std::vector<Region> regions;  // ascending
  std::optional<Parameters> parameters;
  Variant variant;
  std::vector<Problem> problems;
  bool is_cut = false;  // the main arena's own record is not in the core

  const Region* region_of(uint64_t address) const;
  // What arenas count as theirs beyond their regions.
  Unknown missing() const;
};

// Empty: no arena was ever used.
Arenas find_arenas(const Memory& memory);

// Steps of find_arenas().
bool is_arena(const Memory& memory, uint64_t address, ArenaState& state);
void add_regions(const Memory& memory, Arenas& arenas);

}  // namespace tide::walk::glibc
