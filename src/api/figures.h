// The heap's figures by name: one list for JSON, text and Prometheus, in the order in which people
// read them.
#pragma once

#include <cstdint>
#include <string_view>

#include "heap/stats.h"

namespace tide::api {

struct Figure {
  std::string_view key;  // ends in the unit, unless it is a count
  uint64_t heap::Stats::*member;
  std::string_view meaning;
  std::string_view metric;  // the name in Prometheus, behind "tide_"; counters end in _total
};

inline constexpr Figure kFigures[] = {
    {"live_bytes", &heap::Stats::live_bytes, "usable bytes of live blocks", "live_bytes"},
    {"live_blocks", &heap::Stats::live_blocks, "live blocks", "live_blocks"},
    {"large_live_bytes", &heap::Stats::large_live_bytes, "live, in blocks of whole pages",
     "large_live_bytes"},
    {"large_live_blocks", &heap::Stats::large_live_blocks, "live blocks of whole pages",
     "large_live_blocks"},
    {"huge_live_bytes", &heap::Stats::huge_live_bytes, "live, in mappings of their own",
     "huge_live_bytes"},
    {"huge_live_blocks", &heap::Stats::huge_live_blocks, "live blocks with mappings of their own",
     "huge_live_blocks"},
    {"cached_bytes", &heap::Stats::cached_bytes, "free, at hand for the threads", "cached_bytes"},
    {"free_dirty_bytes", &heap::Stats::free_dirty_bytes, "free, may be resident",
     "free_dirty_bytes"},
    {"huge_cached_bytes", &heap::Stats::huge_cached_bytes,
     "free, in mappings kept for reuse; may be resident", "huge_cached_bytes"},
    {"returned_bytes", &heap::Stats::returned_bytes, "free, given back or never touched",
     "returned_bytes"},
    {"metadata_bytes", &heap::Stats::metadata_bytes, "the allocator's own records",
     "metadata_bytes"},
    {"mapped_bytes", &heap::Stats::mapped_bytes, "all mappings of the allocator", "mapped_bytes"},
    {"thread_caches", &heap::Stats::thread_caches, "thread caches made", "thread_caches"},
    {"heaps", &heap::Stats::heaps, "first-class heaps", "heaps"},
    {"purge_calls", &heap::Stats::purge_calls, "calls that gave memory back", "purge_calls_total"},
    {"purged_bytes", &heap::Stats::purged_bytes, "bytes given back", "purged_bytes_total"},
    {"retaken_bytes", &heap::Stats::retaken_bytes, "bytes given back and taken again",
     "retaken_bytes_total"},
    {"purge_max_ns", &heap::Stats::purge_max_ns, "the longest call that gave memory back",
     "purge_max_seconds"},
    {"purge_total_ns", &heap::Stats::purge_total_ns, "all calls that gave memory back",
     "purge_seconds_total"},
    {"background_turns", &heap::Stats::background_turns, "turns of the background purge",
     "background_turns_total"},
    {"limit_bytes", &heap::Stats::limit_bytes, "the hard limit, else the soft one, 0 for none",
     "limit_bytes"},
    {"footprint_bytes", &heap::Stats::footprint_bytes, "may be resident: what limits count",
     "footprint_bytes"},
    {"limit_soft_bytes", &heap::Stats::limit_soft_bytes, "soft limit, 0 for none",
     "limit_soft_bytes"},
    {"limit_hard_bytes", &heap::Stats::limit_hard_bytes, "hard limit, 0 for none",
     "limit_hard_bytes"},
};

inline bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         std::string_view(text.data() + text.size() - end.size(), end.size()) == end;
}

}  // namespace tide::api
