// In place of src/sys/futex.h: the checker's futex.
#pragma once

#include "tests/model/checker/words.h"

namespace tide::sys {

inline void futex_wait(checker::Atomic<uint32_t>* word, uint32_t expected) {
  checker::futex_wait(word->id(), expected);
}
inline void futex_wake_one(checker::Atomic<uint32_t>* word) {
  checker::futex_wake(word->id(), false);
}
inline void futex_wake_all(checker::Atomic<uint32_t>* word) {
  checker::futex_wake(word->id(), true);
}
inline void spin_pause() {}

}  // namespace tide::sys
