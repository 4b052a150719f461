// How glibc's malloc lays out its memory on x86-64: what is the same in 2.31 to 2.40, and what a
// look at the memory itself has to tell (Variant).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tide::walk::glibc {

// A chunk: eight bytes that belong to the chunk before it while that is in use (else its size),
// eight with its own size and flags, then the block. The block goes on into the next chunk's first
// eight bytes.
inline constexpr uint64_t kChunkHead = 16;     // from a chunk to its block
inline constexpr uint64_t kChunkOverhead = 8;  // chunk size less usable size
inline constexpr uint64_t kMappedOverhead = 16;
inline constexpr uint64_t kAlignment = 16;
inline constexpr uint64_t kLeastChunk = 32;
inline constexpr uint64_t kFenceChunk = 16;  // smaller than any chunk: marks an end

inline constexpr uint64_t kPrevInUse = 1;
inline constexpr uint64_t kIsMapped = 2;
inline constexpr uint64_t kNotMain = 4;
inline constexpr uint64_t kFlags = 7;

inline constexpr uint64_t kPageBytes = 4096;

inline constexpr uint64_t size_of(uint64_t head) { return head & ~kFlags; }
inline constexpr uint64_t align_up(uint64_t value, uint64_t to) {
  return (value + to - 1) & ~(to - 1);
}

// malloc_state: an arena.
struct ArenaState {
  static constexpr size_t kFastBins = 10;
  static constexpr size_t kBins = 128;  // 0 does not exist, 1 is the unsorted one, 127 stays empty
  static constexpr uint32_t kNotContiguous = 2;

  uint32_t mutex;
  uint32_t flags;
  uint32_t has_fast_chunks;
  uint32_t unused;
  uint64_t fast_bins[kFastBins];
  uint64_t top;
  uint64_t last_remainder;
  uint64_t bins[2 * kBins - 2];  // forward and back of bins 1 to 127
  uint32_t bin_map[4];
  uint64_t next;
  uint64_t next_free;
  uint64_t attached_threads;
  uint64_t system_bytes;
  uint64_t most_system_bytes;
};
static_assert(sizeof(ArenaState) == 2200);

// A bin poses as a chunk whose links are the bin's.
inline constexpr uint64_t bin_address(uint64_t arena, size_t bin) {
  return arena + offsetof(ArenaState, bins) + (bin - 1) * 16 - kChunkHead;
}
inline constexpr uint64_t kForward = 16;  // in a free chunk
inline constexpr uint64_t kBack = 24;

inline constexpr uint64_t fast_chunk_bytes(size_t bin) { return kLeastChunk + bin * kAlignment; }

// _heap_info: what an arena but the main one grows in. It lies at a multiple of kHeapMost.
inline constexpr uint64_t kHeapMost = uint64_t{64} << 20;
struct HeapInfo {
  uint64_t arena;
  uint64_t before;  // the arena's heap before this one
  uint64_t bytes;   // in use
  uint64_t committed_bytes;
};

// tcache_perthread_struct.
struct ThreadCache {
  static constexpr size_t kBins = 64;

  uint16_t counts[kBins];
  uint64_t entries[kBins];  // blocks, not chunks
};
static_assert(sizeof(ThreadCache) == 640);
inline constexpr uint64_t kThreadCacheChunk = 656;

// The end of malloc_par, `mp_`: the last words are the defaults by which it is found.
struct Parameters {
  // Blocks with mappings of their own, the most that there may be, ...; from 2.35 on four bytes
  // earlier, since a field came before them.
  int32_t counts[6];
  uint64_t mapped_bytes;
  uint64_t most_mapped_bytes;
  uint64_t break_start;  // where the main arena begins
  uint64_t cache_bins;   // 64
  uint64_t cache_most;   // 1032
  uint64_t cache_count;  // 7
};

inline constexpr int32_t kMostMapped = 65536;  // unless somebody has set it

// How many blocks have mappings of their own; nothing when the place is not to be told.
inline std::optional<uint64_t> mapped_count(const Parameters& parameters) {
  for (const size_t at : {size_t{1}, size_t{2}}) {
    const int32_t count = parameters.counts[at];
    if (parameters.counts[at + 1] == kMostMapped && count >= 0 && count <= kMostMapped) {
      return static_cast<uint64_t>(count);
    }
  }
  return std::nullopt;
}

// What differs.
struct Variant {
  uint64_t heap_info_bytes = 48;  // 32 before 2.35
  bool is_linked_plainly =
      false;  // before 2.32 links of fast bins and thread caches are not mangled

  // `link` as it was stored at `at`.
  uint64_t follow(uint64_t at, uint64_t link) const {
    return is_linked_plainly ? link : link ^ (at >> 12);
  }
};

}  // namespace tide::walk::glibc
