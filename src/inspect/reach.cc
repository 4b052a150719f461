#include "inspect/reach.h"

#include <algorithm>
#include <array>

namespace tide::inspect {

namespace {

// Blocks whose references are still to be followed. The next ones are on their way into the cache:
// first where their references are, then these.
class Waiting {
 public:
  explicit Waiting(const ReferenceGraph& graph) : graph_(graph) {}

  void add(uint32_t block) { rest_.push_back(block); }
  // False: there is none.
  bool take(uint32_t& block) {
    while (!rest_.empty() && count_ < kAhead) {
      graph_.prefetch_place(rest_.back());
      ahead_[(first_ + count_++) % kAhead] = rest_.back();
      rest_.pop_back();
    }
    if (count_ == 0) return false;
    if (count_ > kAhead / 2) graph_.prefetch_out(ahead_[(first_ + kAhead / 2) % kAhead]);
    block = ahead_[first_];
    first_ = (first_ + 1) % kAhead;
    --count_;
    return true;
  }

 private:
  static constexpr uint32_t kAhead = 16;

  const ReferenceGraph& graph_;
  std::vector<uint32_t> rest_;
  std::array<uint32_t, kAhead> ahead_{};
  uint32_t first_ = 0;
  uint32_t count_ = 0;
};

void reach_from(const ReferenceGraph& graph, uint32_t start, BlockSet& reached, Waiting& waiting) {
  if (!reached.add(start)) return;
  waiting.add(start);
  for (uint32_t block; waiting.take(block);) {
    for (const uint32_t to : graph.out(block)) {
      if (reached.add(to)) waiting.add(to);
    }
  }
}

}  // namespace

void reach(const ReferenceGraph& graph, std::span<const uint32_t> from, BlockSet& reached) {
  Waiting waiting(graph);
  for (const uint32_t block : from) reach_from(graph, block, reached, waiting);
}

// A block from which a later start gets to an earlier one's is a head in its place. Of the starts,
// the last that gets to a block is the first of all that lead to it: what leads to a start, but
// from later ones, would have reached it before its turn, unless both lie on one cycle.
std::vector<uint32_t> find_heads(const ReferenceGraph& graph, const BlockSet& reached) {
  std::vector<uint32_t> starts;
  BlockSet seen = reached;
  Waiting waiting(graph);
  for (uint32_t block = 0; block < graph.count(); ++block) {
    if (seen.contains(block)) continue;
    starts.push_back(block);
    reach_from(graph, block, seen, waiting);
  }
  std::vector<uint32_t> heads;
  seen = reached;
  for (auto start = starts.rbegin(); start != starts.rend(); ++start) {
    if (seen.contains(*start)) continue;
    heads.push_back(*start);
    reach_from(graph, *start, seen, waiting);
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
