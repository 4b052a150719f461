// How hardened mode zeroes what is freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

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

// The same of a short block of a class of small ones, without its seal. In steps as long as can be,
// see all_zero().
TIDE_INLINE void clear_short_block(void* p, size_t room) {
  using Pair = uint64_t __attribute__((vector_size(16), aligned(8), may_alias));
  auto* at = static_cast<unsigned char*>(p);
  unsigned char* const end = at + room;
  const auto put = [](unsigned char* to) {
    *reinterpret_cast<Pair*>(to) = Pair{};
    *reinterpret_cast<Pair*>(to + sizeof(Pair)) = Pair{};
  };
  if (room > 64) {
    do {
      put(at);
      put(at + 32);
      at += 64;
      TIDE_PIN(at);  // or it becomes a call of memset
    } while (at < end - 64);
    put(end - 64);
    put(end - 32);
  } else if (room >= 32) {
    put(at);
    put(end - 32);
  } else {
    if (room > sizeof(Pair)) *reinterpret_cast<Pair*>(at) = Pair{};
    const uint64_t none = 0;
    memcpy(end - sizeof none, &none, sizeof none);
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
