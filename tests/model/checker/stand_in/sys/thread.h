// In place of src/sys/thread.h.
#pragma once

#include <cstdint>

#include "tests/model/checker/explore.h"

namespace tide::sys {

inline uintptr_t thread_token() { return checker::thread_index() + 1; }
inline bool fence_all_threads() {
  if (checker::mutated("no membarrier")) return true;
  checker::fence_all();
  return true;
}
inline bool finish_fork() { return false; }

}  // namespace tide::sys
