// Spreads the bits of a number over all of it: neighbours become strangers. A permutation, not a
// cipher (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
// Who may use it: everybody. No state, no OS.
#pragma once

#include <cstdint>

namespace tide::base {

// Added to a counter whose values are mixed one after the other.
inline constexpr uint64_t kGoldenGamma = 0x9e3779b97f4a7c15;

constexpr uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace tide::base
