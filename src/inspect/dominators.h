// Dominators: which block all ways from the roots to a block lead through. If it went, so would all
// that it dominates.
//
// Semi-NCA (Georgiadis 2005) without recursion and with arrays of 32-bit numbers: 28 bytes a block
// while it runs, with what DepthFirst has, and four for each reference that is no part of the walk.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "inspect/depth_first.h"

namespace tide::inspect {

// Shows visit(from, to) all references between blocks, in any order: those of the graph that the
// walk was made on, which may be gone by now. What differs from it is left out.
using ShowReferences = std::function<void(const std::function<void(uint32_t, uint32_t)>& visit)>;

// The dominator of each node, by node; of the root itself. It has a smaller number than the node.
// `anchors`: as of the walk. Takes what it no longer needs of the walk: `other_in`.
host::LargeVector<uint32_t> find_dominators(DepthFirst& walk, std::span<const uint32_t> anchors,
                                            const ShowReferences& show);

}  // namespace tide::inspect
