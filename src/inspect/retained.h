// What would go if a block went: itself and all that it dominates.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inspect/block_index.h"
#include "inspect/dominators.h"

namespace tide::inspect {

struct Held {
  uint64_t bytes = 0;   // usable, the block's own too
  uint32_t blocks = 0;  // with itself
};

// The tree of dominators over the blocks that `anchors` lead to.
class Retained {
 public:
  static constexpr uint32_t kNone = BlockIndex::kNone;

  // `anchors` and `show` as of find_dominators(), which `walk` is for.
  Retained(const BlockIndex& index, DepthFirst walk, std::span<const uint32_t> anchors,
           const ShowReferences& show);

  // Nothing leads to it: it is in no tree.
  bool is_reached(uint32_t block) const { return walk_.node_of[block] != DepthFirst::kNone; }
  // Of a block that is reached.
  Held held_by(uint32_t block) const { return held_[walk_.node_of[block]]; }
  // Of a block that is reached; kNone: several ways from the roots lead to it that share no block,
  // or a root points to it.
  uint32_t dominator_of(uint32_t block) const;
  // All blocks that are reached.
  Held all() const { return {held_[0].bytes, held_[0].blocks - 1}; }

  // The `most` blocks that hold the most bytes, the largest first; with equal bytes by address.
  std::vector<uint32_t> largest(size_t most) const;
  // Of those whose dominator `block` is. `total`: how many there are.
  std::vector<uint32_t> largest_children(uint32_t block, size_t most, uint32_t& total) const;

 private:
  DepthFirst walk_;
  host::LargeVector<uint32_t> dominators_;  // by node
  host::LargeVector<Held> held_;            // by node
};

}  // namespace tide::inspect
