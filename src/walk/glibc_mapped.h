// Blocks of glibc's malloc that have a mapping of their own.
#pragma once

#include <cstdint>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_memory.h"

namespace tide::walk::glibc {

struct MappedChunk {
  uint64_t address = 0;
  uint64_t bytes = 0;
  uint64_t start = 0;  // of the mapping: an aligned block may begin later

  uint64_t end() const { return address + bytes; }
};

// Ascending. Nothing lists them: a page that begins with a head whose sizes fit is one.
std::vector<MappedChunk> find_mapped_chunks(const Memory& memory, const Arenas& arenas);

}  // namespace tide::walk::glibc
