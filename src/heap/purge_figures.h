// Counters of what giving memory back costs and brings.
// Written by whoever gives memory back, read by statistics at any time; relaxed, each for itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace tide::heap {

struct PurgeFigures {
  std::atomic<uint64_t> calls{0};  // madvise calls that gave memory back
  std::atomic<uint64_t> bytes{0};  // given back by them
  // Given back and soon taken again: each page of it costs a page fault. An estimate.
  std::atomic<uint64_t> retaken_bytes{0};
  std::atomic<uint64_t> max_ns{0};            // the longest single call
  std::atomic<uint64_t> total_ns{0};          // all calls together
  std::atomic<uint64_t> background_turns{0};  // looks at the heap, see engine_decay.h
};

}  // namespace tide::heap
