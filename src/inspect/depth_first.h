// A depth-first walk over a graph of references from a virtual root: the ground that dominators are
// computed on.
#pragma once

#include <cstdint>
#include <span>

#include "host/large_memory.h"
#include "inspect/block_set.h"
#include "inspect/reference_graph.h"

namespace tide::inspect {

// Nodes are numbered as they were met: 0 is the virtual root, which points to all of `anchors`.
// Sixteen bytes a block, and four more while it is made.
struct DepthFirst {
  static constexpr uint32_t kNone = UINT32_MAX;

  // Walks round the blocks of `excluded`.
  DepthFirst(const ReferenceGraph& graph, std::span<const uint32_t> anchors,
             const BlockSet& excluded);

  uint32_t count() const { return static_cast<uint32_t>(block_of.size()); }

  host::LargeVector<uint32_t> block_of;  // by node; of the root kNone
  host::LargeVector<uint32_t> node_of;   // by block; kNone: not met
  host::LargeVector<uint32_t> parent;    // by node; of the root itself
  // By node: references to it from others than the parent or the root. Of a node that the root
  // points to it does not matter, and is 0.
  host::LargeVector<uint32_t> other_in;
};

}  // namespace tide::inspect
