#include "trace/stack_table.h"

namespace tide::trace {

StackTable::StackTable() : nodes_(1), table_(1024) {}

size_t StackTable::place(uint32_t caller, uint64_t frame) const {
  const size_t mask = table_.size() - 1;
  const uint64_t mixed = (frame ^ uint64_t{caller} << 40) * 0x9e3779b97f4a7c15;
  for (size_t i = static_cast<size_t>((mixed ^ caller) >> 17);; ++i) {
    const uint32_t node = table_[i & mask];
    if (node == 0 || (nodes_[node].frame == frame && nodes_[node].caller == caller)) {
      return i & mask;
    }
  }
}

uint32_t StackTable::add(uint32_t caller, uint64_t frame) {
  const size_t found = place(caller, frame);
  if (table_[found] != 0) return table_[found];
  const auto node = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({frame, caller});
  table_[found] = node;
  if (nodes_.size() * 2 > table_.size()) {
    table_.assign(table_.size() * 2, 0);
    for (uint32_t i = 1; i < nodes_.size(); ++i)
      table_[place(nodes_[i].caller, nodes_[i].frame)] = i;
  }
  return node;
}

uint32_t StackTable::add(std::span<const uint64_t> frames) {
  uint32_t stack = 0;
  for (size_t i = frames.size(); i-- > 0;) stack = add(stack, frames[i]);
  return stack;
}

}  // namespace tide::trace
