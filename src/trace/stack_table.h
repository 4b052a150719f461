// Call stacks of a process, each once, as a tree: a stack is its innermost frame and the stack of
// its caller. A stack's number is that of its node; 0 is the empty one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tide::trace {

class StackTable {
 public:
  StackTable();

  // `caller` with that frame inside of it.
  uint32_t add(uint32_t caller, uint64_t frame);
  // Frames of a call stack, the innermost first.
  uint32_t add(std::span<const uint64_t> frames);

  size_t size() const { return nodes_.size(); }
  uint64_t frame(uint32_t stack) const { return nodes_[stack].frame; }
  uint32_t caller(uint32_t stack) const { return nodes_[stack].caller; }

 private:
  struct Node {
    uint64_t frame;
    uint32_t caller;
  };
  size_t place(uint32_t caller, uint64_t frame) const;

  std::vector<Node> nodes_;
  std::vector<uint32_t> table_;  // 0: empty
};

}  // namespace tide::trace
