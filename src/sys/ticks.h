// The processor's own counter of time: the cheapest clock there is, read without a system call and
// without the C library.
#pragma once

#include <cstdint>

#include "base/compiler.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tide::sys {

// Whether processor_ticks() counts at the same rate whatever the processor does.
inline bool has_steady_ticks() {
#if defined(__x86_64__)
  unsigned a, b, c, d;
  // "Invariant TSC": CPUID 0x80000007, bit 8 of edx. Linux calls it constant_tsc and nonstop_tsc.
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
#elif defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

// Not ordered with what stands around it: good to some tens of nanoseconds.
TIDE_INLINE uint64_t processor_ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

}  // namespace tide::sys
