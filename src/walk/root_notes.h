// Finds heap roots by the ELF notes of the files that are mapped (layout/heap_note.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "walk/target.h"

namespace tide::walk {

struct NotedRoot {
  uint64_t address;
  std::string file;  // that has the note; empty where it is not known
};

// Ascending, each once. A note that leads to no root counts for nothing.
std::vector<NotedRoot> find_noted_roots(const Target& target);

// The layout::ProfileTable of a library that samples another malloc's calls; 0: there is none.
uint64_t find_noted_profile(const Target& target);

// Whether a root lies there that says itself that it does: whatever else has its first word is a
// copy of one, or of its name.
bool is_root(const Target& target, uint64_t address);

}  // namespace tide::walk
