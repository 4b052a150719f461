// What only the processor can say in one instruction, and how everybody else says it.
#pragma once

#include <cstdint>

#include "base/compiler.h"

namespace tide::sys {

// Shifts `word` right; true when nothing is left. On x86-64 the shift itself tells, which compilers
// do not use: they compare the unshifted word.
template <unsigned kShift>
TIDE_INLINE bool shift_right_is_zero(uintptr_t& word) {
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
  bool zero;
  __asm__("shr %2, %0" : "+r"(word), "=@ccz"(zero) : "i"(kShift));
  return zero;
#else
  word >>= kShift;
  return word == 0;
#endif
}

}  // namespace tide::sys
