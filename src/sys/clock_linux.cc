#include <time.h>

#include "sys/clock.h"

namespace tide::sys {

namespace {

uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

uint64_t real_ns() { return clock_ns(CLOCK_REALTIME); }

}  // namespace tide::sys
