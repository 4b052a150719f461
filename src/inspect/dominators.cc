#include "inspect/dominators.h"

#include <algorithm>
#include <utility>

namespace tide::inspect {
namespace {

constexpr uint32_t kNone = DepthFirst::kNone;

// By node: where references to it come from, others than its parent in the walk.
class Predecessors {
 public:
  Predecessors(DepthFirst& walk, const host::LargeVector<uint32_t>& semi,
               const ShowReferences& show)
      : ends_(std::move(walk.other_in)) {
    uint32_t total = 0;
    for (uint32_t& end : ends_) total += std::exchange(end, total);
    from_.assign(total, kNone);
    // While it is filled, an end is where the next one goes.
    const host::LargeVector<uint32_t>& node_of = walk.node_of;
    show([&](uint32_t from, uint32_t to) {
      const uint32_t node = node_of[to];
      const uint32_t source = node_of[from];
      // A root's own block needs no other way to it.
      if (node == kNone || source == kNone || semi[node] == 0) return;
      if (walk.parent[node] == source) return;
      const uint32_t slot = ends_[node];
      // Memory may have changed since it was counted.
      if (slot == total || from_[slot] != kNone) return;
      from_[slot] = source;
      ++ends_[node];
    });
  }

  std::span<const uint32_t> of(uint32_t node) const {
    // Of memory that has changed, a node's may have run into the next one's.
    const uint32_t begin = node == 0 ? 0 : std::min(ends_[node - 1], ends_[node]);
    return {from_.data() + begin, ends_[node] - begin};
  }

 private:
  host::LargeVector<uint32_t> ends_;
  host::LargeVector<uint32_t> from_;
};

// The forest of nodes that were dealt with, hung under their parents in the walk.
class Forest {
 public:
  explicit Forest(const host::LargeVector<uint32_t>& parent) : links_(parent.size()) {
    for (uint32_t node = 0; node < parent.size(); ++node) links_[node] = {parent[node], node};
  }

  void set_label(uint32_t node, uint32_t label) { links_[node].label = label; }

  // The least label from `node` up to the last one above `limit`; all behind `limit` are in the
  // forest. The way is made short for the next time: up with the links turned round, and back.
  uint32_t least_label(uint32_t node, uint32_t limit) {
    if (node <= limit) return links_[node].label;
    uint32_t below = kNone;
    uint32_t top = node;
    while (links_[top].above > limit) {
      const uint32_t next = links_[top].above;
      links_[top].above = below;
      below = top;
      top = next;
    }
    const uint32_t above = links_[top].above;
    uint32_t least = links_[top].label;
    while (below != kNone) {
      Link& link = links_[below];
      least = link.label = std::min(link.label, least);
      below = std::exchange(link.above, above);
    }
    return links_[node].label;
  }

 private:
  struct Link {
    uint32_t above;
    uint32_t label;
  };
  host::LargeVector<Link> links_;
};

}  // namespace

host::LargeVector<uint32_t> find_dominators(DepthFirst& walk, std::span<const uint32_t> anchors,
                                            const ShowReferences& show) {
  // Semidominators: of the root's own blocks the root, of others their parents until proved less.
  host::LargeVector<uint32_t> semi = walk.parent;
  for (const uint32_t anchor : anchors) {
    if (walk.node_of[anchor] != kNone) semi[walk.node_of[anchor]] = 0;
  }
  {
    const Predecessors predecessors(walk, semi, show);
    Forest forest(walk.parent);
    for (uint32_t node = walk.count(); node-- > 1;) {
      uint32_t least = semi[node];
      for (const uint32_t from : predecessors.of(node)) {
        if (least == 0) break;
        if (from != kNone) least = std::min(least, forest.least_label(from, node));
      }
      semi[node] = least;
      forest.set_label(node, least);
    }
  }
  host::LargeVector<uint32_t> dominators = walk.parent;
  for (uint32_t node = 1; node < walk.count(); ++node) {
    uint32_t dominator = dominators[node];
    while (dominator > semi[node]) dominator = dominators[dominator];
    dominators[node] = dominator;
  }
  return dominators;
}

}  // namespace tide::inspect
