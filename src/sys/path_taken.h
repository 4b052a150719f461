// How far an allocation had to go, for who records it: what is slow says so on its way, in a byte
// of the thread's that nobody looks at otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/thread_pointer.h"

namespace tide::sys {

// From near to far.
enum class PathTaken : uint8_t { kCache, kRefill, kSpan, kSystem };

inline constinit thread_local uint8_t t_path_taken
    __attribute__((visibility("hidden"), tls_model("initial-exec"))) = 0;

// The calling thread's allocation goes by `path`, and perhaps further.
inline void take_path(PathTaken path) {
  const auto number = static_cast<uint8_t>(path);
  if (t_path_taken < number) t_path_taken = number;
}

// Where the byte lies from any thread's thread pointer; 0: not known.
inline ptrdiff_t place_of_path() {
  if (!kKnowsThreadPointer) return 0;
  return reinterpret_cast<char*>(&t_path_taken) - thread_pointer();
}

}  // namespace tide::sys
