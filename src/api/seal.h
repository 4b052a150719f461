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
#include "api/pieces.h"
#include "base/compiler.h"
#include "layout/seal.h"
#include "sys/zero_pieces.h"

namespace tide::api {

using layout::kSealBytes;
using layout::kSlackByte;
using layout::seal_word;
// What does not fit into its field counts as the program's own: an odd case of large alignments.
inline constexpr size_t kMostSlack = (size_t{1} << 13) - 1;
// Slack that is written and checked without a loop.
inline constexpr size_t kShortSlack = 32;

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

// Of slack up to kShortSlack all bytes at once, without a branch that a random length would
// mislead: the mask of the slack among the 16 bytes that begin `from` bytes before the seal.
using SlackBytes = signed char __attribute__((vector_size(16), aligned(1), may_alias));
TIDE_INLINE SlackBytes slack_mask(size_t slack, size_t from) {
  constexpr SlackBytes kPlaces = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return kPlaces >= static_cast<signed char>(static_cast<int>(from) - static_cast<int>(slack));
}
TIDE_INLINE SlackBytes all_slack() { return SlackBytes{} + static_cast<signed char>(kSlackByte); }
// Where the first of the two pieces begins that may be slack, before the seal.
TIDE_INLINE size_t short_slack_from(size_t room) { return room < kShortSlack ? room : kShortSlack; }
TIDE_INLINE bool is_short_slack(size_t room, size_t slack) {
  return TIDE_LIKELY(slack <= kShortSlack && room >= sizeof(SlackBytes));
}

// put_seal() for a block that reads as zero, as all do that come from a class at level 3.
TIDE_INLINE void put_seal_on_zero(uint64_t secret, void* block, size_t room, size_t bytes,
                                  Origin origin) {
  const size_t slack = room - bytes;
  if (!is_short_slack(room, slack)) return put_seal(secret, block, room, bytes, false, origin);
  unsigned char* const end = static_cast<unsigned char*>(block) + room;
  const size_t from = short_slack_from(room);
  *reinterpret_cast<SlackBytes*>(end - from) = all_slack() & slack_mask(slack, from);
  *reinterpret_cast<SlackBytes*>(end - 16) = all_slack() & slack_mask(slack, 16);
  put_seal_word(secret, block, room, {slack, false, origin});
}
TIDE_INLINE bool is_none(SlackBytes bytes) {
  using Pair = uint64_t __attribute__((vector_size(16)));
  const auto pair = (Pair)bytes;
  return (pair[0] | pair[1]) == 0;
}
// Whether all of `bytes`, at least kLineBytes, from `p` on are as slack is.
TIDE_INLINE bool are_slack(const unsigned char* p, size_t bytes) {
  SlackBytes other{};
  const auto look = [&](const unsigned char* at) {
    other |= *reinterpret_cast<const SlackBytes*>(at) ^ all_slack();
  };
  visit_pieces(p, bytes, look);
  return is_none(other);
}
// Whether `slack` bytes before the seal are as they were.
TIDE_INLINE bool has_slack(const void* block, size_t room, size_t slack) {
  const unsigned char* const end = static_cast<const unsigned char*>(block) + room;
  if (is_short_slack(room, slack)) {
    const size_t from = short_slack_from(room);
    const SlackBytes first = *reinterpret_cast<const SlackBytes*>(end - from) ^ all_slack();
    const SlackBytes last = *reinterpret_cast<const SlackBytes*>(end - 16) ^ all_slack();
    return is_none((first & slack_mask(slack, from)) | (last & slack_mask(slack, 16)));
  }
  if (slack >= kLineBytes) return are_slack(end - slack, slack);
  return written_slack(block, room, slack) == slack;
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

// Whether all of `bytes`, a multiple of 8, from `p` on are 0.
TIDE_INLINE bool all_zero(const void* p, size_t bytes) {
  static_assert(sys::kLeastIsZeroBytes == kFewLines * kLineBytes);
  using Piece = uint64_t __attribute__((vector_size(kPieceBytes), aligned(8), may_alias));
  const auto* const first = static_cast<const unsigned char*>(p);
  if (bytes > sys::kLeastIsZeroBytes) return sys::is_zero(first, bytes);
  Piece found{};
  const auto look = [&](const unsigned char* at) { found |= *reinterpret_cast<const Piece*>(at); };
  if (TIDE_UNLIKELY(bytes < kPieceBytes)) {
    memcpy(&found, first, sizeof(uint64_t));
  } else {
    visit_few_lines(first, bytes, look);
  }
  return (found[0] | found[1]) == 0;
}

}  // namespace tide::api
