// Every chunk of a region, one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_chain.h"
#include "walk/glibc_chunk_set.h"
#include "walk/glibc_memory.h"

namespace tide::walk::glibc {

enum class ChunkKind : uint8_t {
  kLive,
  kCached,    // in a thread cache or a fast bin
  kFree,      // in a bin
  kDoubtful,  // in a fast bin or live: what would tell is missing
  kTop,
  kRecord,  // a thread cache itself
  kFence,
  kLost,     // no chunks where some must be, or not readable
  kForeign,  // somebody else's, between rows of chunks
};

struct Chunk {
  uint64_t address;
  uint64_t bytes;  // with its head
  ChunkKind kind;
};

class FreeLists;

// What is known of chunks besides their heads.
struct KnownChunks {
  const ChunkSet* cached;
  const ChunkSet* records;
  const FreeLists*
      lists;  // tell doubtful ones, and help to find the way behind damage; may be null
};

class ChunkWalk {
 public:
  // From the region's first chunk on, or from `start`, which must be a chunk of it.
  ChunkWalk(const Memory& memory, const Arenas& arenas, const Region& region,
            const KnownChunks& known, uint64_t start = 0);

  // The next ones, ascending; empty: that was all. Good until the next call.
  std::span<const Chunk> next();

  // Damage that was met so far.
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  static constexpr size_t kBatch = 1024;
  static constexpr size_t kMostProblems = 1000;

  void begin(uint64_t at);
  bool load(uint64_t at, Head& head);
  void add(uint64_t at, uint64_t bytes, ChunkKind kind) { batch_.push_back({at, bytes, kind}); }
  bool step();
  ChunkKind kind_of(uint64_t at, bool is_in_use);
  void end_row(uint64_t fence);
  void go_on_behind(uint64_t next, const Head* head, uint64_t last, uint64_t last_bytes);
  void look_for_row(uint64_t gap, uint64_t from, ChunkKind kind);
  void go_on_at(uint64_t gap, uint64_t at, ChunkKind kind);
  const ChunkSet* in_bins() const;
  void note(uint64_t at, std::string text);

  const Memory& memory_;
  const Region& region_;
  KnownChunks known_;
  Bounds bounds_;
  ChainFinder finder_;
  Stride stride_;
  bool has_doubtful_ = false;
  uint64_t at_ = 0;  // the chunk that comes next, its head read; 0: none
  Head head_{};
  uint64_t cached_page_number_ = UINT64_MAX;
  const ChunkSet::Page* cached_page_ = nullptr;
  std::vector<Chunk> batch_;
  std::vector<Problem> problems_;
};

}  // namespace tide::walk::glibc
