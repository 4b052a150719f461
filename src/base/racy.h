// Loads and stores of words that other threads may read or write at the same time, where any of the
// values written is good: relaxed atomics on plain objects, the same instructions as plain accesses.
#pragma once

#include <cstdint>

namespace tide::base {

template <class T>
inline T racy_load(const T& object) {
  return __atomic_load_n(&object, __ATOMIC_RELAXED);
}

template <class T>
inline void racy_store(T& object, T value) {
  __atomic_store_n(&object, value, __ATOMIC_RELAXED);
}

}  // namespace tide::base
