// What options may set in the engine. Plain values, filled in before the engine's first use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::heap {

struct Config {  // all zero until defaults() or the options are assigned
  // Most bytes of free blocks that one thread cache may be sized for.
  size_t thread_cache_bytes;
  // Blocks of more bytes than this get a mapping of their own. At most layout::kLargeMaxBytes.
  size_t huge_threshold_bytes;
  // Most bytes of freed huge mappings that are kept for reuse.
  size_t huge_cache_bytes;
  // A block of at least so many bytes grows by moving its pages instead of copying them.
  size_t remap_threshold_bytes;
  // The small zone grows by huge pages from so many bytes on, the mid zone from kHugeGrowthOfMid
  // times as many; 0: neither.
  size_t huge_growth_bytes;
  // Whether free memory goes back without being asked, and by which means; the shortest run of free
  // pages in the middle of used ones that does.
  bool purge;
  bool purge_lazily;
  size_t purge_least_bytes;
  // The system makes huge pages by itself, and small holes are not worth breaking them.
  bool keep_huge_pages;

  // Threads get their free blocks in random order, records lie between guard pages, and every free
  // takes the slow path.
  bool hardened;
  // A block whose pages realloc has moved stays live where it was, without them: the caller frees
  // it. Not one of a first-class heap.
  bool leaves_moved;
  // So many bytes at the end of each block are not for whom malloc serves from the thread's cache.
  uint32_t tail_bytes;
  // For each block of a size class that leaves its slab, before anyone has it. Null: nothing.
  void (*prepare)(void* block, size_t block_bytes);
  // For each block that has waited (waiting.h), before it is free.
  void (*inspect)(void* block, size_t block_bytes);
  // Writes layout::HeapHeader to a page in front of the tables, once all are placed. Null: nothing.
  void (*describe)(void* page);

  // Homes in use, 1 to layout::kHomes: enough that threads that run at once have different ones.
  uint32_t homes;
  // Depots of each mid class in use, one for each CPU. Where there are more they share: one that
  // finds its depot empty looks into all others.
  uint32_t mid_depots;
  static constexpr uint32_t kMostMidDepots = 4;

  // Limits on the footprint, see limits.h; 0: none.
  size_t limit_soft_bytes;
  size_t limit_hard_bytes;

  static constexpr Config defaults() {
    return {.thread_cache_bytes = size_t{8} << 20,
            .huge_threshold_bytes = size_t{32} << 20,
            .huge_cache_bytes = size_t{128} << 20,
            .remap_threshold_bytes = size_t{4} << 20,
            .huge_growth_bytes = size_t{512} << 20,
            .purge = true,
            .purge_lazily = false,
            .purge_least_bytes = size_t{4} << 10,
            .keep_huge_pages = false,
            .hardened = false,
            .leaves_moved = false,
            .tail_bytes = 0,
            .prepare = nullptr,
            .inspect = nullptr,
            .describe = nullptr,
            .homes = 4,
            .mid_depots = 1,
            .limit_soft_bytes = 0,
            .limit_hard_bytes = 0};
  }
};

}  // namespace tide::heap
