// Time that only goes forward.
#pragma once

#include <cstdint>

namespace tide::sys {

// Nanoseconds since some moment before the process began (CLOCK_MONOTONIC). Keeps errno.
uint64_t monotonic_ns();

// Nanoseconds since 1970. Keeps errno.
uint64_t real_ns();

}  // namespace tide::sys
