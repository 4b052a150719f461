// Blocks that nothing leads to any more, and what they hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inspect/block_index.h"
#include "inspect/block_set.h"
#include "inspect/reference_graph.h"
#include "inspect/retained.h"

namespace tide::inspect {

// One that no other leaked block points to, but from within its cycle; it holds itself and what
// only it leads to.
struct LeakHead {
  uint32_t block;
  Held held;
};

struct Leaks {
  // `anchors`: blocks that roots point to.
  Leaks(const BlockIndex& index, const ReferenceGraph& graph, std::span<const uint32_t> anchors);

  BlockSet reached;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  std::vector<LeakHead> heads;  // those that hold most first
};

}  // namespace tide::inspect
