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

// Writes what is there already: memory that was never touched is faulted in once and for good, and
// not first as a page of zeros to read, which every CPU would have to forget when it is written to.
TIDE_INLINE void touch_for_writing(void* p) {
#if defined(__x86_64__)
  __asm__ volatile("orb $0, %0" : "+m"(*static_cast<unsigned char*>(p)));
#else
  __atomic_fetch_or(static_cast<unsigned char*>(p), 0, __ATOMIC_RELAXED);
#endif
}

}  // namespace tide::sys
