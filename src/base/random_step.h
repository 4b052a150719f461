// The next state of Knuth's generator (MMIX): what is unforeseen in the heap steps with it. Its
// high bits are the good ones.
#pragma once

#include <cstdint>

#include "base/compiler.h"

namespace tide::base {

// `increment` is odd; a secret one makes a sequence of its own.
TIDE_INLINE constexpr uint64_t random_step(uint64_t state,
                                           uint64_t increment = 1442695040888963407) {
  return state * 6364136223846793005 + increment;
}

}  // namespace tide::base
