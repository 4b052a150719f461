// How far apart a thread's samples are: one that makes too many of them in a time makes them
// further apart, which keeps their cost below a hundredth of that time.
#pragma once

#include <cstdint>

#include "sys/clock.h"

namespace tide::probe {

enum class Pace : uint8_t { kSame, kApart, kCloser };

// After a sample. `window_ns` and `samples` are the thread's: since when, and how many since then.
template <class Count>
inline Pace pace_after(uint64_t& window_ns, Count& samples) {
  constexpr Count kMostSamples = 32;
  constexpr uint64_t kWindowNs = 4'000'000;
  if (++samples < kMostSamples) return Pace::kSame;
  const uint64_t now = sys::monotonic_ns();
  const uint64_t passed = now - window_ns;
  window_ns = now;
  samples = 0;
  if (passed < kWindowNs) return Pace::kApart;
  return passed > 4 * kWindowNs ? Pace::kCloser : Pace::kSame;
}

// At most so many times as far as was asked for.
inline constexpr int64_t kMostStretch = 1 << 10;

}  // namespace tide::probe
