// Who points to a block, and what it points to, word by word.
#pragma once

#include <cstdint>
#include <vector>

#include "inspect/block_index.h"
#include "inspect/roots.h"
#include "walk/target.h"

namespace tide::inspect {

// A word of a block that points to another one, or to its own.
struct Reference {
  uint32_t block;   // that it is in, or that it points to
  uint64_t offset;  // of the word in the block that holds it
  uint64_t into;    // how far into the other block it points
};

// The first `most` by address, and how many there are.
struct References {
  std::vector<Reference> first;
  uint64_t count = 0;
  uint64_t missing_bytes = 0;  // of blocks that could not be read
};

// Words in blocks that point into `range`, which is a block's, live or not. Reads all blocks, on
// all CPUs. Throws host::Error when a target can't be read.
References references_to(const walk::Target& target, const BlockIndex& index, walk::Range range,
                         size_t most);

// What the words of `range` point to.
References references_from(const walk::Target& target, const BlockIndex& index, walk::Range range,
                           size_t most);

// Blocks that roots point to, each once, in the order of the roots.
std::vector<uint32_t> anchored_blocks(const Roots& roots, const BlockIndex& index);

}  // namespace tide::inspect
