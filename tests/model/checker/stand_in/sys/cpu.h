// In place of src/sys/cpu.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/model/checker/words.h"

namespace tide::sys {

template <unsigned kShift>
bool shift_right_is_zero(uintptr_t& word) {
  word >>= kShift;
  return word == 0;
}

template <int kBy, class T>
void move_in_memory(checker::Racy<T*>* pointers, size_t index) {
  pointers[index] = static_cast<T*>(pointers[index]) + kBy;
}

}  // namespace tide::sys
