// How hardened mode zeroes what is freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "api/pieces.h"
#include "base/compiler.h"

namespace tide::api {

// Long blocks: most are written to in part, and many pages of theirs are not there at all. Pages
// that read as zero are not written, so that those that are not there stay so. Where one is,
// writing is faster than looking. `p` is aligned to 16, `bytes` a multiple of 8.
void clear_written(void* p, size_t bytes);

// Zeroes a block of a class; of a short one, whose lines are in the CPU's cache, with less ado than
// memset. `bytes`: a multiple of 8.
TIDE_INLINE void clear_block(void* p, size_t bytes) {
  constexpr size_t kShort = 256;
  constexpr size_t kLong = 8192;  // pages of shorter ones are mostly there
  if (bytes > kShort) {
    if (bytes < kLong) {
      memset(p, 0, bytes);
    } else {
      clear_written(p, bytes);
    }
    return;
  }
  using Pair = uint64_t __attribute__((vector_size(16), aligned(16)));
  auto* pair = static_cast<Pair*>(p);
  for (const Pair* const end = pair + bytes / sizeof *pair; pair < end; ++pair) {
    TIDE_PIN(pair);  // or it becomes a call of memset
    *pair = Pair{};
  }
  if (bytes % sizeof *pair != 0) *reinterpret_cast<uint64_t*>(pair) = 0;
}

// The same of a short block of a class of small ones, without its seal.
TIDE_INLINE void clear_short_block(void* p, size_t room) {
  using Piece = uint64_t __attribute__((vector_size(kPieceBytes), aligned(8), may_alias));
  const auto clear_piece = [](unsigned char* at) { *reinterpret_cast<Piece*>(at) = Piece{}; };
  auto* const first = static_cast<unsigned char*>(p);
  if (TIDE_UNLIKELY(room < kPieceBytes)) {
    const uint64_t none = 0;
    memcpy(first, &none, sizeof none);
  } else {
    visit_pieces(first, room, clear_piece);
  }
}

// Whatever its class.
TIDE_INLINE void clear_any_block(void* p, size_t bytes) {
  constexpr size_t kShort = 512;
  if (TIDE_LIKELY(bytes <= kShort)) {
    clear_short_block(p, bytes);
  } else {
    clear_block(p, bytes);
  }
}

}  // namespace tide::api
