#include "inspect/depth_first.h"

#include "host/error.h"

namespace tide::inspect {

DepthFirst::DepthFirst(const ReferenceGraph& graph, std::span<const uint32_t> anchors,
                       const BlockSet& excluded)
    : block_of{kNone}, node_of(graph.count(), kNone), parent{0}, other_in{0} {
  host::LargeVector<uint32_t> done{0};  // by node: references that were followed
  // Room that is not used costs nothing; room that grows is there twice for a moment.
  for (host::LargeVector<uint32_t>* nodes : {&block_of, &parent, &other_in, &done}) {
    nodes->reserve(size_t{graph.count()} + 1);
  }
  uint64_t others = 0;
  const auto enter = [&](uint32_t block, uint32_t from) {
    const uint32_t node = count();
    node_of[block] = node;
    block_of.push_back(block);
    parent.push_back(from);
    other_in.push_back(0);
    done.push_back(0);
    return node;
  };
  for (const uint32_t anchor : anchors) {
    if (node_of[anchor] != kNone || excluded.contains(anchor)) continue;
    uint32_t node = enter(anchor, 0);
    while (node != 0) {
      const std::span<const uint32_t> out = graph.out(block_of[node]);
      if (done[node] == out.size()) {
        node = parent[node];
        continue;
      }
      const uint32_t to = out[done[node]++];
      if (node_of[to] == kNone) {
        if (!excluded.contains(to)) node = enter(to, node);
      } else if (parent[node_of[to]] != node) {
        ++other_in[node_of[to]];
        ++others;
      }
    }
  }
  // An anchor that was met below another one.
  for (const uint32_t anchor : anchors) {
    const uint32_t node = node_of[anchor];
    if (node == kNone) continue;
    others -= other_in[node];
    other_in[node] = 0;
  }
  if (others >= UINT32_MAX) {
    throw host::Error("more than 4,294,967,294 references meet others at their blocks: too many");
  }
}

}  // namespace tide::inspect
