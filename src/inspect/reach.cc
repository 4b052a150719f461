#include "inspect/reach.h"

#include <algorithm>

namespace tide::inspect {

void reach(const ReferenceGraph& graph, std::span<const uint32_t> from, BlockSet& reached) {
  std::vector<uint32_t> waiting;
  for (const uint32_t block : from) {
    if (reached.add(block)) waiting.push_back(block);
    while (!waiting.empty()) {
      const uint32_t next = waiting.back();
      waiting.pop_back();
      for (const uint32_t to : graph.out(next)) {
        if (reached.add(to)) waiting.push_back(to);
      }
    }
  }
}

// A block from which a later start gets to an earlier one's is a head in its place. Of the starts,
// the last that gets to a block is the first of all that lead to it: what leads to a start, but
// from later ones, would have reached it before its turn, unless both lie on one cycle.
std::vector<uint32_t> find_heads(const ReferenceGraph& graph, const BlockSet& reached) {
  std::vector<uint32_t> starts;
  BlockSet seen = reached;
  for (uint32_t block = 0; block < graph.count(); ++block) {
    if (seen.contains(block)) continue;
    starts.push_back(block);
    reach(graph, {&block, 1}, seen);
  }
  std::vector<uint32_t> heads;
  seen = reached;
  for (auto start = starts.rbegin(); start != starts.rend(); ++start) {
    if (seen.contains(*start)) continue;
    heads.push_back(*start);
    reach(graph, {&*start, 1}, seen);
  }
  std::reverse(heads.begin(), heads.end());
  return heads;
}

std::vector<uint32_t> shortest_path(const ReferenceGraph& graph, std::span<const uint32_t> from,
                                    uint32_t to) {
  constexpr uint32_t kUnseen = UINT32_MAX;
  std::vector<uint32_t> parent(graph.count(), kUnseen);  // of a start: itself
  std::vector<uint32_t> queue;
  for (const uint32_t block : from) {
    if (parent[block] != kUnseen) continue;
    parent[block] = block;
    queue.push_back(block);
  }
  for (size_t next = 0; next < queue.size() && parent[to] == kUnseen; ++next) {
    for (const uint32_t block : graph.out(queue[next])) {
      if (parent[block] != kUnseen) continue;
      parent[block] = queue[next];
      queue.push_back(block);
    }
  }
  if (parent[to] == kUnseen) return {};
  std::vector<uint32_t> path{to};
  while (parent[path.back()] != path.back()) path.push_back(parent[path.back()]);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace tide::inspect
