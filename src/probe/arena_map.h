// Finds the memory that a traced program shares with its collector.
//
// The variable format::kArenaVariable holds "PATH:DESCRIPTOR:IDENTITY". The descriptor is inherited
// from the collector; a program that closed it, or used its number for something else, opens the
// path, by default that of the collector's own descriptor in /proc. The identity is
// sys::file_identity() of the file, in decimal: (st_dev << 40) ^ st_ino ^ 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/trace_arena.h"

namespace tide::probe {

struct ArenaAddress {
  std::string_view path;
  int descriptor;
  uint64_t identity;
};

// False: that is no such value.
bool parse_arena_address(std::string_view value, ArenaAddress* address);

// The arena that the environment names; null: none, or it can't be had, or this process runs with
// privileges that its user lacks.
format::TraceArena* map_arena();

// Whether the arena's own figures can be right, so that using it touches nothing outside of it.
bool is_sound_arena(const format::TraceArena& arena, uint64_t bytes);

}  // namespace tide::probe
