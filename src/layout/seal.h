// The words that hardened mode puts behind blocks, for who writes them and for who checks them from
// outside; what they mean stands in api/seal.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::layout {

inline constexpr size_t kSealBytes = 8;
inline constexpr unsigned char kSlackByte = 0xc3;

// The contents in the upper 16 bits, the checksum below. The byte next to the program's is never 0:
// what is written one too far mostly is.
inline uint64_t seal_word(uint64_t secret, uintptr_t block, uint16_t contents) {
  const uint64_t left = (secret ^ block) * 0x9e3779b97f4a7c15;
  const uint64_t right = (left ^ (left >> 29) ^ contents) * (secret | 1);
  return uint64_t{contents} << 48 | (right ^ (right >> 32)) << 16 >> 16 | 1;
}

inline uint64_t standing_seal(uint64_t secret, uintptr_t block) {
  const uint64_t mixed = (block ^ secret) * (secret | 1);
  return (mixed ^ mixed >> 32) | 1;
}

}  // namespace tide::layout
