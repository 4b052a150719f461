// How much of a reserve was not needed lately: the least that was in it during a window of time.
//
// The reserve's owner says when something is taken; the background closes a tick at a time. Not
// thread-safe for writers; the reserve's lock protects note().
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"

namespace tide::heap {

class LowWater {
 public:
  static constexpr uint32_t kSlots = 8;

  constexpr LowWater() = default;

  // There are `amount` left after something was taken.
  void note(size_t amount) {
    if (amount < base::racy_load(least_)) base::racy_store(least_, amount);
  }

  // Ends a slot, an eighth of the window; there are `amount` now. Returns the least amount over the
  // window, 0 while it has not been seen whole.
  size_t close_slot(size_t amount) {
    slots_[next_++ % kSlots] = least_so_far(amount);
    base::racy_store(least_, amount);
    if (next_ < kSlots) return 0;
    size_t least = amount;
    for (const size_t slot : slots_) least = slot < least ? slot : least;
    return least;
  }

 private:
  size_t least_so_far(size_t amount) const {
    const size_t least = base::racy_load(least_);
    return least < amount ? least : amount;
  }

  size_t least_ = 0;
  uint32_t next_ = 0;
  size_t slots_[kSlots] = {};
};

}  // namespace tide::heap
