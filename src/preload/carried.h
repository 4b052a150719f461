// A program that is executed with an LD_PRELOAD of its own, as a script sets it that puts an
// allocator in front, has this library in front of that nevertheless. One that has no LD_PRELOAD
// is left as it is: who takes it away means it.
//
// Nothing here allocates: the caller may be a child of vfork.
#pragma once

#include <cstddef>

namespace tide::preload {

// What carry() needs for an environment; 0: it stays as it is.
size_t carried_bytes(const char* const* environment);

// A copy in `memory` that has this library in LD_PRELOAD.
char* const* carry(const char* const* environment, void* memory);

// Makes `environment`, a variable, that copy, on the stack.
#define TIDE_CARRY(environment)                                                 \
  if (const size_t carried = tide::preload::carried_bytes(environment)) {       \
    environment = tide::preload::carry(environment, __builtin_alloca(carried)); \
  }

}  // namespace tide::preload
