// Writes to blocks as the program did: which pages become resident is what a replay is about, and
// the allocator finds the lines in the cache that it would find there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/compiler.h"
#include "format/replay_session.h"

namespace tide::player {

inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kPageBytes = 4096;

// From `begin` on to `end`: a byte of each step, and the last.
inline void touch_every(uint8_t* block, uint64_t begin, uint64_t end, size_t step) {
  auto* const bytes = static_cast<volatile uint8_t*>(block);
  for (uint64_t at = begin; at < end; at += step) bytes[at] = 1;
  bytes[end - 1] = 1;
}

// The bytes from `begin` to `end` of a new block, or of the part that has grown.
TIDE_INLINE void touch(format::ReplayTouch policy, uint8_t* block, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  switch (policy) {
    case format::ReplayTouch::kRecorded:
      return touch_every(block, begin, end, kLineBytes);
    case format::ReplayTouch::kPage:
      return touch_every(block, begin, end, kPageBytes);
    case format::ReplayTouch::kAll:
      memset(block + begin, 1, end - begin);
  }
}

}  // namespace tide::player
