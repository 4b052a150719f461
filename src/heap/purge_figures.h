// What giving memory back has cost and brought since the start.
#pragma once

#include <atomic>
#include <cstdint>

namespace tide::heap {

struct PurgeFigures {
  std::atomic<uint64_t> calls{0};          // madvise calls that gave memory back
  std::atomic<uint64_t> bytes{0};          // given back by them, and by unmapping huge blocks
  std::atomic<uint64_t> longest_ns{0};     // of these calls
  std::atomic<uint64_t> total_ns{0};       // in all of them
  std::atomic<uint64_t> retaken_bytes{0};  // given back and soon taken again, an estimate
  std::atomic<uint64_t> turns{0};          // of the background, see engine_decay.h
};

}  // namespace tide::heap
