// Powers of two and rounding. All functions are total unless a comment says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::base {

// Not std::has_single_bit: without a popcount instruction in the baseline that is a call.
constexpr bool is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

// `alignment` is a power of two; wraps to a small value when the sum overflows.
constexpr uintptr_t align_up(uintptr_t value, size_t alignment) {
  return (value + alignment - 1) & ~(uintptr_t{alignment} - 1);
}

constexpr uintptr_t align_down(uintptr_t value, size_t alignment) {
  return value & ~(uintptr_t{alignment} - 1);
}

constexpr bool is_aligned(uintptr_t value, size_t alignment) {
  return (value & (uintptr_t{alignment} - 1)) == 0;
}

inline uintptr_t address_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

template <class T>
T* pointer_to(uintptr_t address) {
  return reinterpret_cast<T*>(
      address);  // NOLINT(performance-no-int-to-ptr): what an allocator does
}

}  // namespace tide::base
