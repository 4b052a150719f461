#include "inspect/leaks.h"

#include <algorithm>

#include "inspect/reach.h"

namespace tide::inspect {

// What a head holds is what it dominates among leaked blocks, as if all heads were roots.
Leaks::Leaks(const BlockIndex& index, const ReferenceGraph& graph,
             std::span<const uint32_t> anchors)
    : reached(index.count()) {
  reach(graph, anchors, reached);
  index.for_each(0, index.count(), [&](uint32_t block, uint64_t, uint64_t size) {
    if (reached.contains(block)) return;
    ++blocks;
    bytes += size;
  });
  if (blocks == 0) return;
  const std::vector<uint32_t> starts = find_heads(graph, reached);
  const Retained retained(index, DepthFirst(graph, starts, reached), starts,
                          [&](const auto& visit) {
                            for (uint32_t block = 0; block < graph.count(); ++block) {
                              if (reached.contains(block)) continue;
                              for (const uint32_t to : graph.out(block)) visit(block, to);
                            }
                          });
  heads.reserve(starts.size());
  for (const uint32_t start : starts) heads.push_back({start, retained.held_by(start)});
  std::sort(heads.begin(), heads.end(), [](const LeakHead& a, const LeakHead& b) {
    return a.held.bytes != b.held.bytes ? a.held.bytes > b.held.bytes : a.block < b.block;
  });
}

}  // namespace tide::inspect
