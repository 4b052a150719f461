// Which steps of the zones have pages that were moved there. Each is a mapping of its own as long
// as the process lives, so there are not many; they can be moved to again and again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heap/dump_steps.h"

namespace tide::heap {

// Pages are moved in pieces of this size, aligned to it: a piece never lies on two mappings.
inline constexpr size_t kMoveBytes = DumpSteps::kStepBytes;

// Whoever holds the lock of who gives memory back.
class PageMoves {
 public:
  static constexpr uint32_t kZones = 4;  // none, small, mid, large
  static constexpr uint32_t kMostSteps = 256;
  static constexpr uint32_t kMostFailures = 4;

  constexpr PageMoves() = default;

  // Not any more where the system has refused some.
  bool are_possible() const { return failures_ < kMostFailures; }

  // Whether pages may come to the step at `offset` of a zone; they do then.
  bool enter(uint32_t zone, size_t offset) {
    const size_t step = offset / kMoveBytes;
    if (step >= DumpSteps::kSteps) return false;
    uint64_t& word = moved_[zone][step / 64];
    const uint64_t bit = uint64_t{1} << (step % 64);
    if ((word & bit) != 0) return true;
    if (steps_ == kMostSteps) return false;
    ++steps_;
    word |= bit;
    return true;
  }
  void count_failure() { ++failures_; }

 private:
  uint32_t steps_ = 0;
  uint32_t failures_ = 0;
  uint64_t moved_[kZones][DumpSteps::kSteps / 64] = {};
};

}  // namespace tide::heap
