// All references between blocks, read once: for questions that go from block to block.
//
// Four bytes a block (beside the index's four) and four a reference.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/large_memory.h"
#include "inspect/block_index.h"
#include "walk/target.h"

namespace tide::inspect {

class BlockReferences;

class ReferenceGraph {
 public:
  // Reads every block on all CPUs. Throws host::Error when there is more than it can number.
  ReferenceGraph(const walk::Target& target, const BlockIndex& index);
  // Made up: what each block points to.
  explicit ReferenceGraph(const std::vector<std::vector<uint32_t>>& out);

  uint32_t count() const { return static_cast<uint32_t>(ends_.size()); }
  uint64_t references() const { return references_; }
  // Bytes of blocks that could not be read: what they point to is not known.
  uint64_t missing_bytes() const { return missing_bytes_; }

  // The blocks that `block` points to; one may be there more than once.
  std::span<const uint32_t> out(uint32_t block) const {
    const uint32_t begin = block % kChunkBlocks == 0 ? 0 : ends_[block - 1];
    return {chunks_[block / kChunkBlocks] + begin, ends_[block] - begin};
  }

  // Asks for what out() will need: where the references are, and then, with that, these.
  void prefetch_place(uint32_t block) const { __builtin_prefetch(&ends_[block]); }
  void prefetch_out(uint32_t block) const { __builtin_prefetch(out(block).data()); }

 private:
  // Blocks whose references lie together: threads take a chunk after another.
  static constexpr uint32_t kChunkBlocks = 1 << 16;
  class Chunk;

  static void read_chunk(BlockReferences& references, uint32_t begin, uint32_t end, Chunk& chunk);

  // Room for many chunks' references; more than one thread's.
  using Room = host::LargeVector<uint32_t>;
  static constexpr size_t kRoom = (8 << 20) / sizeof(uint32_t);

  host::LargeVector<uint32_t> ends_;  // of a block's references, in its chunk's
  std::vector<const uint32_t*> chunks_;
  std::vector<Room> rooms_;
  uint64_t references_ = 0;
  uint64_t missing_bytes_ = 0;
};

}  // namespace tide::inspect
