// What only the processor can say in one instruction, and how everybody else says it.
#pragma once

#include <cstddef>
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

// Moves a pointer in memory, which only this thread changes and others may read, by one element up
// or down. In one instruction, which compilers do not use where the old value is in a register,
// too.
template <int kBy, class T>
TIDE_INLINE void move_in_memory(T** pointers, size_t index) {
  static_assert(kBy == 1 || kBy == -1);
#if defined(__x86_64__)
  constexpr int kBytes = kBy * static_cast<int>(sizeof(T));
  __asm__ volatile("addq %2, (%0,%1,8)" : : "r"(pointers), "r"(index), "i"(kBytes) : "memory");
#else
  T*& pointer = pointers[index];
  __atomic_store_n(&pointer, __atomic_load_n(&pointer, __ATOMIC_RELAXED) + kBy, __ATOMIC_RELAXED);
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
