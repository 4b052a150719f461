// What can be reached from where, in a graph of references.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inspect/block_set.h"
#include "inspect/reference_graph.h"

namespace tide::inspect {

// Adds to `reached` the blocks `from` and all that they lead to without passing one of `reached`.
void reach(const ReferenceGraph& graph, std::span<const uint32_t> from, BlockSet& reached);

// The fewest blocks outside of `reached` from which all others outside of it are reached, in the
// order of their addresses: those that no other one points to, and of each cycle that nothing else
// leads to the one with the lowest address.
std::vector<uint32_t> find_heads(const ReferenceGraph& graph, const BlockSet& reached);

// A shortest way from one of `from` to `to`, both ends in it. Empty: there is none. Four bytes a
// block for the way back, and four for each that was seen.
std::vector<uint32_t> shortest_path(const ReferenceGraph& graph, std::span<const uint32_t> from,
                                    uint32_t to);

}  // namespace tide::inspect
