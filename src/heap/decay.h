// When memory that is free goes back: the judgement of the background, see engine_decay.h.
//
// Time goes in looks at the heap, some milliseconds apart. While a program works, what it did not
// need for a window of looks goes back; when nothing at all has happened for some looks, everything
// that is free does. Either time gets longer when what was given back is soon taken again, so that
// this happens ever more rarely, and slowly shorter again when it is not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heap/low_water.h"

namespace tide::heap {

// How long to wait before memory goes back for one of the two reasons, as a multiple of the
// shortest time.
class Patience {
 public:
  uint32_t factor() const { return uint32_t{1} << doublings_; }

  void gave_back(size_t bytes) {
    outstanding_ += bytes;
    given_ += bytes;
  }

  // `bytes` that were given back were taken again. Returns how many of them cannot have been given
  // back for this reason.
  size_t retaken(size_t bytes) {
    const size_t mine = bytes < outstanding_ ? bytes : outstanding_;
    outstanding_ -= mine;
    regretted_ += mine;
    all_regretted_ += mine;
    return bytes - mine;
  }

  // Once in a while, always after the same time times factor().
  void judge() {
    if (regretted_ > kHardlyAny && regretted_ > given_ / 8) {
      if (doublings_ < kMostDoublings) ++doublings_;
      if (lessons_ < kMostLessons) ++lessons_;
      calm_ = 0;
      given_ = 0;
    } else if (++calm_ >= kLeastCalm << lessons_) {
      calm_ = 0;
      if (doublings_ != 0) --doublings_;
    }
    regretted_ = 0;
    // What was given back long ago was not given back too early.
    outstanding_ -= outstanding_ / 8;
    given_ -= given_ / 8;
  }

  size_t all_regretted() const { return all_regretted_; }

 private:
  static constexpr uint32_t kMostDoublings = 8;
  static constexpr uint32_t kLeastCalm = 64;
  static constexpr uint32_t kMostLessons = 6;
  static constexpr size_t kHardlyAny = size_t{64} << 10;

  uint32_t doublings_ = 0;
  uint32_t calm_ = 0;       // judgements without regret
  uint32_t lessons_ = 0;    // each makes the calm that is needed twice as long
  size_t outstanding_ = 0;  // given back not long ago, and not taken again
  size_t given_ = 0;        // not long ago
  size_t regretted_ = 0;    // since the last judgement
  size_t all_regretted_ = 0;
};

class Decay {
 public:
  // The shortest window in looks.
  static constexpr uint32_t kWindowLooks = 2 * LowWater::kSlots;

  // Looks without any block of a slab coming or going after which its pages are of no use.
  uint32_t window_looks() const { return work_.factor() * kWindowLooks; }
  bool is_idle() const { return quiet_looks_ >= idle_.factor() * kSlotLooks; }

  // A look at the heap: whether it changed since the last one, and the bytes that were clean when
  // they were taken, ever. True when a slot of the window ends with it.
  bool look(bool changed, size_t taken) {
    quiet_looks_ = changed ? 0 : quiet_looks_ + 1;
    const size_t grown = taken - taken_;
    taken_ = taken;
    idle_.retaken(work_.retaken(grown));
    if (++idle_looks_ >= idle_.factor() * kWindowLooks) {
      idle_looks_ = 0;
      idle_.judge();
    }
    if (++slot_looks_ < work_.factor() * kSlotLooks) return false;
    slot_looks_ = 0;
    if (++slots_ % LowWater::kSlots == 0) work_.judge();
    return true;
  }

  void gave_back(size_t bytes) { (is_idle() ? idle_ : work_).gave_back(bytes); }

  // Given back and soon taken again, ever.
  size_t regretted_bytes() const { return work_.all_regretted() + idle_.all_regretted(); }

 private:
  static constexpr uint32_t kSlotLooks = kWindowLooks / LowWater::kSlots;

  Patience work_;
  Patience idle_;
  uint32_t slot_looks_ = 0;
  uint32_t slots_ = 0;
  uint32_t idle_looks_ = 0;
  uint32_t quiet_looks_ = 0;
  size_t taken_ = 0;
};

}  // namespace tide::heap
