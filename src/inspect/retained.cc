#include "inspect/retained.h"

#include <algorithm>
#include <utility>

namespace tide::inspect {
namespace {

// Keeps the best of all that it is given.
template <class Better>
class Best {
 public:
  Best(size_t most, Better better) : most_(most), better_(better) {}

  void add(uint32_t block) {
    if (most_ == 0) return;
    if (blocks_.size() == most_) {
      if (!better_(block, blocks_.front())) return;
      std::pop_heap(blocks_.begin(), blocks_.end(), better_);
      blocks_.pop_back();
    }
    blocks_.push_back(block);
    std::push_heap(blocks_.begin(), blocks_.end(), better_);
  }
  std::vector<uint32_t> in_order() && {
    std::sort_heap(blocks_.begin(), blocks_.end(), better_);
    return std::move(blocks_);
  }

 private:
  const size_t most_;
  const Better better_;
  std::vector<uint32_t> blocks_;  // a heap with the worst in front
};

}  // namespace

Retained::Retained(const BlockIndex& index, DepthFirst walk, std::span<const uint32_t> anchors,
                   const ShowReferences& show)
    : walk_(std::move(walk)),
      dominators_(find_dominators(walk_, anchors, show)),
      held_(walk_.count()) {
  walk_.parent = {};
  held_[0].blocks = 1;
  for (uint32_t node = walk_.count(); node-- > 1;) {
    Held& held = held_[node];
    held.bytes += index.bytes_of(walk_.block_of[node]);
    held.blocks += 1;
    Held& above = held_[dominators_[node]];
    above.bytes += held.bytes;
    above.blocks += held.blocks;
  }
}

uint32_t Retained::dominator_of(uint32_t block) const {
  return walk_.block_of[dominators_[walk_.node_of[block]]];
}

std::vector<uint32_t> Retained::largest(size_t most) const {
  Best best(most, [this](uint32_t a, uint32_t b) {
    const uint64_t a_bytes = held_by(a).bytes;
    const uint64_t b_bytes = held_by(b).bytes;
    return a_bytes != b_bytes ? a_bytes > b_bytes : a < b;
  });
  for (uint32_t node = 1; node < walk_.count(); ++node) best.add(walk_.block_of[node]);
  return std::move(best).in_order();
}

std::vector<uint32_t> Retained::largest_children(uint32_t block, size_t most,
                                                 uint32_t& total) const {
  const uint32_t above = walk_.node_of[block];
  total = 0;
  Best best(most, [this](uint32_t a, uint32_t b) {
    const uint64_t a_bytes = held_by(a).bytes;
    const uint64_t b_bytes = held_by(b).bytes;
    return a_bytes != b_bytes ? a_bytes > b_bytes : a < b;
  });
  for (uint32_t node = 1; node < walk_.count(); ++node) {
    if (dominators_[node] != above) continue;
    ++total;
    best.add(walk_.block_of[node]);
  }
  return std::move(best).in_order();
}

}  // namespace tide::inspect
