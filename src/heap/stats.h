// What the heap is made of at a moment, in bytes and blocks. Counted from the records when asked
// for; no fast path pays for it. While other threads run, the figures are those of nearly the same
// moment.
#pragma once

#include <cstdint>

#include "layout/size_classes.h"
#include "layout/thread_cache.h"

namespace tide::heap {

struct ClassStats {
  uint32_t block_bytes;
  uint32_t slabs;
  uint64_t live_blocks;
  uint64_t cached_blocks;  // in thread caches and the depot
  uint64_t free_blocks;    // in slabs, those never used included
};

struct Stats {
  uint64_t mapped_bytes;  // all mappings of ours, metadata included
  uint64_t live_bytes;    // usable bytes of all live blocks
  uint64_t live_blocks;
  uint64_t cached_bytes;
  uint64_t free_dirty_bytes;  // free, may be resident
  uint64_t returned_bytes;    // free, given back or never touched
  uint64_t metadata_bytes;
  uint64_t large_live_bytes;
  uint64_t large_live_blocks;
  uint64_t huge_live_bytes;
  uint64_t huge_live_blocks;
  uint64_t huge_peak_bytes;  // the most that were live at a time
  uint64_t huge_peak_blocks;
  uint64_t huge_cached_bytes;  // freed mappings kept for reuse
  uint64_t thread_caches;      // ever made; a cache serves one thread after another
  uint64_t heaps;              // first-class heaps alive
  uint64_t purge_calls;
  uint64_t purged_bytes;
  uint64_t retaken_bytes;  // these four: see purge_figures.h
  uint64_t purge_max_ns;
  uint64_t purge_total_ns;
  uint64_t background_turns;
  uint64_t limit_bytes;      // the hard limit, or if there is none the soft one
  uint64_t footprint_bytes;  // see limits.h
  uint64_t limit_soft_bytes;
  uint64_t limit_hard_bytes;
  ClassStats classes[layout::kClassCount];
};

// One thread cache. What is in depots belongs to none.
struct ThreadStats {
  int32_t owner;  // the system's number of the thread that has it, or had it last
  layout::CacheState state;
  uint64_t cached_bytes;
  uint64_t cached_blocks;
};

struct BlockInfo {
  void* address;
  size_t usable_bytes;
  uint32_t size_class;  // 0: large or huge
  uint32_t heap_id;     // 0: the process's heap
};

// What is known about a pointer that is not the start of a live block.
struct PointerInfo {
  enum class Kind : uint8_t {
    kForeign,  // not in memory of ours
    kLive,     // a live block starts here
    kFree,     // a block started here, and is free
    kInside,   // in the middle of a block, live or not
    kUnused,   // memory of ours that is no block
  };
  Kind kind;
  bool live;            // kInside: the block around it is live
  uint32_t size_class;  // 0: large or huge
  uintptr_t block;      // start of the block at or around it
  size_t block_bytes;
};

// Where an address lies.
struct BlockPlace {
  enum class State : uint8_t {
    kForeign,  // not in memory of ours
    kLive,
    kCached,   // freed, and at hand: in a cache or a depot
    kRetired,  // freed, and kept from being used again
    kFree,     // freed, or never used
  };
  State state;
  uint32_t size_class;  // 0: large or huge, or no block is there
  uint32_t heap_id;     // 0: the process's heap
  uintptr_t block;      // 0: no block is there
  size_t block_bytes;
};

}  // namespace tide::heap
