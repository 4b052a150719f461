// Thread caches of a heap, by its root.
#pragma once

#include <cstdint>
#include <vector>

#include "walk/memory_source.h"
#include "walk/tide_root.h"

namespace tide::walk {

// A stack that holds blocks.
struct CacheStack {
  uint32_t size_class = 0;
  uint64_t first = 0;  // where the address of its lowest block stands
  uint64_t blocks = 0;
};

struct CacheRecord {
  uint64_t address = 0;
  int32_t owner = 0;
  uint8_t state = 0;
  uint8_t home = 0;
  uint32_t spans = 0;
  uint32_t span_pages = 0;
  int32_t calls = 0;  // that are between a block and its seal
  std::vector<CacheStack> stacks;
};

// Of all of a heap, the newest first. Throws host::Error, also for a list without end.
std::vector<CacheRecord> read_caches(const MemorySource& memory, const TideRoot& root);

}  // namespace tide::walk
