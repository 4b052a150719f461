// The large blocks that are live, so that the record can say how much of them the program touched:
// of a small block its size tells, a large one may be a table of which a corner is used.
//
// A table by address, without a lock; where it is full a block is left out, and the trace does not
// say. Small blocks pay one look at a byte: it tells whether a large block begins in the same 64
// KiB, or in others that share the byte. Neighbours share it, so that it is in the cache.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "probe/thread_stream.h"

namespace tide::probe {

inline constexpr size_t kLargeBlock = 64 << 10;

namespace detail {
inline constexpr unsigned kGranuleShift = 16;
inline constexpr size_t kGranules = 1 << 16;
// How many large blocks begin there; the greatest number stays.
extern constinit std::atomic<uint8_t> g_granules[kGranules];

void large_block_came(uint64_t block, size_t bytes);
void large_block_goes(ThreadStream& stream, uint64_t block);
}  // namespace detail

// The program is about to be given the block.
TIDE_INLINE void block_came(uint64_t block, size_t bytes) {
  if (TIDE_UNLIKELY(bytes >= kLargeBlock)) detail::large_block_came(block, bytes);
}

// The block is about to go: if it is a large one, notes what of it is in memory.
TIDE_INLINE void block_goes(ThreadStream& stream, uint64_t block) {
  const auto granule = static_cast<uint16_t>(block >> detail::kGranuleShift);
  if (TIDE_UNLIKELY(detail::g_granules[granule].load(std::memory_order_relaxed) != 0)) {
    detail::large_block_goes(stream, block);
  }
}

// The program is about to end: the same for all that are live.
void all_blocks_go(ThreadStream& stream);

}  // namespace tide::probe
