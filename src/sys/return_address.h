// A return address as it lies on a stack.
#pragma once

#include <cstdint>

#include "base/compiler.h"

namespace tide::sys {

// The address alone: functions on 64-bit ARM may sign where they return to, in the upper bits of
// the word (pointer authentication).
#if defined(__aarch64__)
TIDE_INLINE uintptr_t plain_return_address(uintptr_t word) {
  register uintptr_t address __asm__("x30") = word;
  // xpaclri, by the number that older assemblers know; older processors do nothing.
  __asm__("hint 7" : "+r"(address));
  return address;
}
#else
TIDE_INLINE uintptr_t plain_return_address(uintptr_t word) { return word; }
#endif

}  // namespace tide::sys
