// What the first page of the heap's tables says: enough to find every block of the zones when all
// else of the program is missing, as in a core that was cut off. Written once, at the start.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layout/heap_root.h"

namespace tide::layout {

inline constexpr uint64_t kHeapHeaderMagic = 0x6461656865646974;  // "tidehead", low byte first
// Before the first table; a multiple of every page size.
inline constexpr size_t kHeaderRoom = size_t{64} << 10;
inline constexpr uint32_t kMostHeaderClasses = 128;

// Words as the root's fields of the same names; they do not change once the heap has started.
struct ZoneHeader {
  uint64_t base;
  uint64_t states;
  uint64_t records;
  uint64_t bitmaps;
};

struct HeapHeader {
  uint64_t magic;
  uint64_t self;  // its own address, or it is a copy
  uint64_t root_address;
  HeapRoot root;  // a copy: what it points to may be missing
  ZoneHeader zones[2];
  uint64_t large_base;
  uint64_t large_entries;
  uint32_t class_count;
  uint32_t block_bytes[kMostHeaderClasses];
  uint32_t harden;
  uint32_t standing_seals;
  char library_version[16];
};

static_assert(sizeof(HeapHeader) <= 4096, "a page, the smallest there is");

}  // namespace tide::layout
