// A heap in a process or a core, whatever its allocator: the blocks that the program holds, what is
// at an address, how full each part is, and whether all of it fits together.
//
// Nothing here changes what it looks at. What cannot be read is left out and counted, never
// guessed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tide::walk {

// Addresses [start, end).
struct Range {
  uint64_t start;
  uint64_t end;

  bool contains(uint64_t address) const { return address - start < end - start; }
};

// A block that the program holds.
struct Block {
  uint64_t address;
  uint64_t bytes;  // usable: what malloc_usable_size says
  uint32_t owner;  // 0: the process's heap (of glibc: the main arena), else the number of another
};

enum class BlockState : uint8_t {
  kLive,      // the program holds it
  kCached,    // freed, at hand for a thread or for all
  kWaiting,   // freed, held back for a while (hardened mode)
  kFree,      // freed, or never handed out
  kInFlight,  // neither with the program nor in a list: a call was at it
};
const char* state_name(BlockState state);  // "live", "cached", "held back", "free", "in flight"

// Who allocated or freed a block, where that is known (sampled guards, profiles).
struct CallStack {
  int thread = 0;
  std::vector<uint64_t> frames;  // innermost first
};

// What is at an address of the heap.
struct Place {
  BlockState state = BlockState::kFree;
  uint64_t address = 0;      // the block's
  uint64_t bytes = 0;        // its usable bytes
  uint64_t class_bytes = 0;  // of its size class; 0: it has pages or a mapping of its own
  uint32_t owner = 0;
  Range span{};       // the slab, span or mapping that it is in
  std::string where;  // for people: "in the cache of thread 4711"; may be empty
  CallStack allocated;
  CallStack freed;
};

// Blocks of one size.
struct SizeRow {
  uint64_t bytes = 0;  // of the class; of larger blocks: what all of the row have
  uint64_t live_blocks = 0;
  uint64_t live_bytes = 0;     // usable
  uint64_t cached_blocks = 0;  // freed and at hand
  uint64_t free_blocks = 0;    // freed or never used, in slabs of the class
};

// What could not be read.
struct Unknown {
  uint64_t parts = 0;  // slabs, tables, chunks
  uint64_t bytes = 0;  // of addresses whose blocks are not known
  std::string reason;  // for people; empty: nothing is unknown

  void add(const Unknown& more) {
    parts += more.parts;
    bytes += more.bytes;
    if (reason.empty()) reason = more.reason;
  }
};

struct HeapSummary {
  std::vector<SizeRow> rows;  // by size, ascending; only such as hold or held blocks
  uint64_t live_blocks = 0;
  uint64_t live_bytes = 0;
  uint64_t cached_bytes = 0;
  uint64_t free_bytes = 0;      // may be resident
  uint64_t returned_bytes = 0;  // mapped, but given back or never touched
  uint64_t metadata_bytes = 0;
  uint64_t mapped_bytes = 0;
  uint64_t in_flight_blocks = 0;
  struct Owner {
    uint32_t number;
    uint64_t live_blocks;
    uint64_t live_bytes;
  };
  std::vector<Owner> owners;  // by number, the process's heap first
  Unknown unknown;
};

// A thread that the allocator knows.
struct HeapThread {
  int id = 0;
  bool is_gone = false;  // its cache waits for the next one
  uint64_t cached_blocks = 0;
  uint64_t cached_bytes = 0;
};

// A slab or a span.
// What of a page is live.
struct PageFill {
  uint32_t live_bytes = 0;
  uint32_t blocks = 0;      // that lie on it
  uint64_t last = 0;        // one of them
  uint64_t last_bytes = 0;  // its size
};

inline constexpr uint64_t kFillPage = 4096;

struct Span {
  Range range{};
  uint64_t block_bytes = 0;  // 0: it is one block, free as a whole, or has `pages`
  uint32_t owner = 0;
  bool is_free = false;  // no block is in it
  uint32_t blocks = 0;   // that it can hold
  uint32_t live_blocks = 0;
  uint64_t returned_bytes = 0;     // of its pages: given back or never touched
  std::span<const uint64_t> live;  // a bit per block, its number in the span; empty for one block
  std::span<const PageFill>
      pages;  // of a span with blocks of many sizes: every page that it lies on
};

// Something that is not as it must be.
struct Problem {
  uint64_t address = 0;  // what it is about
  std::string text;      // one line
};

class Heap {
 public:
  virtual ~Heap() = default;

  // "Tide 0.1.0" or "glibc's malloc".
  virtual std::string allocator() const = 0;

  // Every live block, by and by, in batches; within a region addresses ascend. Stops when `visit`
  // returns false. Returns what could not be read.
  using Visit = std::function<bool(std::span<const Block>)>;
  virtual Unknown for_each_block(const Visit& visit) const = 0;

  virtual HeapSummary summary() const = 0;

  // Usable sizes that requests are rounded up to together with `bytes`.
  virtual Range sizes_like(uint64_t bytes) const { return {bytes, bytes + 1}; }

  // The block that `address` lies in, or nothing: it is none of this heap's.
  virtual std::optional<Place> find(uint64_t address) const = 0;

  // Whether find() takes a few steps, or a walk through neighbours.
  virtual bool finds_quickly() const { return true; }

  // Where blocks may lie, ascending, without overlaps; at least all that for_each_block() shows.
  virtual std::vector<Range> ranges() const = 0;

  // The allocator's own records, as far as they are known; no program keeps pointers there.
  virtual std::vector<Range> records() const = 0;

  virtual std::vector<HeapThread> threads() const = 0;

  // Every slab and span. Stops when `visit` returns false.
  using VisitSpan = std::function<bool(const Span&)>;
  virtual Unknown for_each_span(const VisitSpan& visit) const = 0;

  // Compares everything with everything. Empty: all fits together. At most `most`.
  virtual std::vector<Problem> check(size_t most) const = 0;
  // What check() has no way to see, for people; empty: nothing in particular.
  virtual std::string not_checked() const { return {}; }
};

}  // namespace tide::walk
