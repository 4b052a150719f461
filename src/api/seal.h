// The last eight bytes of a block in hardened mode: how long the block is that was asked for, who
// asked, and a keyed checksum of that and of the address. Whoever writes past the end of a block
// breaks it.
//
//   | the program's bytes | slack: kSlackByte | seal |
//
// A standing seal is of the address alone: all bytes before it count as the program's. A block of a
// size class keeps it while it is free, so that malloc has nothing to write.
//
// Pure functions; the secret is the process's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "api/origin.h"
#include "layout/seal.h"

namespace tide::api {

using layout::kSealBytes;
using layout::kSlackByte;
using layout::seal_word;
// What does not fit into its field counts as the program's own: an odd case of large alignments.
inline constexpr size_t kMostSlack = (size_t{1} << 13) - 1;

struct Seal {
  size_t slack;
  bool guarded;  // a guard page follows
  Origin origin;
};

// `room`: the block's bytes without the seal, behind which it is put. The slack is there already.
inline void put_seal_word(uint64_t secret, void* block, size_t room, const Seal& seal) {
  const auto contents = static_cast<uint16_t>(seal.slack << 3 | unsigned{seal.guarded} << 2 |
                                              static_cast<unsigned>(seal.origin));
  const uint64_t word = seal_word(secret, reinterpret_cast<uintptr_t>(block), contents);
  memcpy(static_cast<unsigned char*>(block) + room, &word, sizeof word);
}

// With the slack; `bytes` of the room are the program's.
inline void put_seal(uint64_t secret, void* block, size_t room, size_t bytes, bool guarded,
                     Origin origin) {
  const size_t slack = room - bytes < kMostSlack ? room - bytes : kMostSlack;
  memset(static_cast<unsigned char*>(block) + room - slack, kSlackByte, slack);
  put_seal_word(secret, block, room, {slack, guarded, origin});
}

inline uint64_t standing_seal(uint64_t secret, const void* block) {
  return layout::standing_seal(secret, reinterpret_cast<uintptr_t>(block));
}
inline void put_standing_seal(uint64_t secret, void* block, size_t room) {
  const uint64_t word = standing_seal(secret, block);
  memcpy(static_cast<unsigned char*>(block) + room, &word, sizeof word);
}
inline bool has_standing_seal(uint64_t secret, const void* block, size_t room) {
  uint64_t word;
  memcpy(&word, static_cast<const unsigned char*>(block) + room, sizeof word);
  return word == standing_seal(secret, block);
}

// False: it is broken.
inline bool read_seal(uint64_t secret, const void* block, size_t room, Seal& seal) {
  uint64_t word;
  memcpy(&word, static_cast<const unsigned char*>(block) + room, sizeof word);
  const auto contents = static_cast<uint16_t>(word >> 48);
  if (word != seal_word(secret, reinterpret_cast<uintptr_t>(block), contents)) return false;
  seal = {static_cast<size_t>(contents >> 3), (contents & 4) != 0,
          static_cast<Origin>(contents & 3)};
  return seal.slack <= room;
}

// Whether all of `bytes`, a multiple of 8, from the aligned `p` on are 0.
inline bool all_zero(const void* p, size_t bytes) {
  using Pair = uint64_t __attribute__((vector_size(16)));
  const auto* pair = static_cast<const Pair*>(p);
  Pair found{};
  for (const Pair* const end = pair + bytes / sizeof *pair; pair < end; ++pair) found |= *pair;
  uint64_t last = 0;
  if (bytes % sizeof *pair != 0) memcpy(&last, pair, sizeof last);
  return (found[0] | found[1] | last) == 0;
}

// How many bytes from `p` on are all `value`; `bytes` when all of them are.
inline size_t first_other_than(unsigned char value, const void* p, size_t bytes) {
  const auto* const first = static_cast<const unsigned char*>(p);
  const uint64_t all = uint64_t{0x0101010101010101} * value;
  size_t i = 0;
  for (uint64_t word; i + sizeof word <= bytes; i += sizeof word) {
    memcpy(&word, first + i, sizeof word);
    if (word != all) break;
  }
  while (i < bytes && first[i] == value) ++i;
  return i;
}

// The first byte of the slack that was written to, counted from the end of the program's bytes;
// `slack` when none was.
inline size_t written_slack(const void* block, size_t room, size_t slack) {
  return first_other_than(kSlackByte, static_cast<const unsigned char*>(block) + room - slack,
                          slack);
}

}  // namespace tide::api
