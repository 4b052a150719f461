// What can be a chunk, and where chunks go on after something that is none.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "walk/glibc_chunk_set.h"
#include "walk/glibc_layout.h"
#include "walk/glibc_memory.h"

namespace tide::walk::glibc {

// The first words of a chunk.
struct Head {
  uint64_t before_bytes;  // of the chunk before, if that is free
  uint64_t word;

  uint64_t bytes() const { return size_of(word); }
  bool is_before_in_use() const { return (word & kPrevInUse) != 0; }
};

// Where a row of chunks may lie.
struct Bounds {
  uint64_t end;
  uint64_t top;  // 0: elsewhere
  bool is_main;
  bool ends_with_top = false;  // where the top is not known: the last chunk is it
};

inline bool can_be_chunk(const Head& head, uint64_t at, const Bounds& bounds) {
  const uint64_t bytes = head.bytes();
  return bytes >= kLeastChunk && bytes % kAlignment == 0 && bytes <= bounds.end - at &&
         (head.word & kIsMapped) == 0 && (!bounds.is_main || (head.word & kNotMain) == 0);
}

// Whether a chunk of `bytes` can lie right before `head`.
inline bool fits_behind(const Head& head, uint64_t bytes) {
  return head.is_before_in_use() || head.before_bytes == bytes;
}

// Ends of a row that is not the arena's newest. Of the main arena two chunks of 16 bytes, of
// others one and a head of nothing.
bool is_fence(const Memory& memory, uint64_t at, const Head& head, const Bounds& bounds);

class ChainFinder {
 public:
  // `bytes`: how much there is to search; the effort is in proportion to it, whatever lies there.
  ChainFinder(const Memory& memory, uint64_t bytes)
      : memory_(memory), steps_left_(bytes / 4 + (1 << 20)) {}

  // The first of from, from + step, ... from which chunks lead from one to the next up to the top,
  // a fence, or one of `known`. Nothing: there is none, or looking for it took too long.
  std::optional<uint64_t> find(uint64_t from, uint64_t end, uint64_t step, const Bounds& bounds,
                               const ChunkSet* known);

  // The end of the row of chunks that `at` is the first of: behind the top or the fence, over
  // damage in between. Nothing: `at` is no such chunk.
  std::optional<uint64_t> end_of_row(uint64_t at, const Bounds& bounds);

 private:
  // Up to `most` chunks from `at` on. The place where it ended.
  struct Outcome {
    bool is_good;
    uint64_t end;
    uint64_t count;
  };
  Outcome follow(uint64_t at, const Bounds& bounds, const ChunkSet* known, uint64_t most);

  const Memory& memory_;
  uint64_t steps_left_;
};

}  // namespace tide::walk::glibc
