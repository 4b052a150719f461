// Random distances with an exponential distribution, and the chances that follow from them; without
// the C library's mathematics, which the runtime does not link.
#pragma once

#include <bit>
#include <cstdint>

namespace tide::base {

// -ln(u) for a u that is spread evenly over (0, 1], from 64 random bits.
inline double exponential(uint64_t random) {
  const uint64_t bits = random | 1;
  const int leading = std::countl_zero(bits);
  // u = mantissa * 2^-(leading + 1), mantissa in [1, 2).
  const double mantissa = static_cast<double>(bits << leading >> 11) * 0x1p-52;
  const double t = (mantissa - 1) / (mantissa + 1);  // ln(mantissa) = 2 artanh(t), t <= 1/3
  const double s = t * t;
  const double ln =
      2 * t *
      (1 + s * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s * (1.0 / 9 + s * (1.0 / 11 + s / 13))))));
  constexpr double kLn2 = 0.693147180559945309417;
  return static_cast<double>(leading + 1) * kLn2 - ln;
}

// Whole bytes up to the next of points that are `mean` bytes apart on average; at least 1.
inline int64_t exponential_bytes(uint64_t random, int64_t mean) {
  return 1 + static_cast<int64_t>(exponential(random) * static_cast<double>(mean));
}

// 1 - exp(-x): the chance that a point lies in x mean distances.
inline double chance_within(double x) {
  if (x > 40) return 1;
  if (x > 0.25) {
    const double half = chance_within(x / 2);
    return half * (2 - half);
  }
  return x *
         (1 -
          x / 2 *
              (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7 * (1 - x / 8)))))));
}

}  // namespace tide::base
