// Nodes and arrays of C++'s containers, as libstdc++ lays them out, by how they point to each
// other. (libc++'s lists are the same; its trees are told too.)
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "inspect/pointees.h"
#include "walk/target.h"

namespace tide::inspect {

enum class Container : uint8_t {
  kNone,
  kTreeNode,     // std::map, std::set
  kListNode,     // std::list
  kChainNode,    // linked one way: std::forward_list, std::unordered_map, ...
  kHashBuckets,  // of std::unordered_map, std::unordered_set
  kDequeMap,     // of std::deque
};

class Containers {
 public:
  // Both must stay.
  Containers(const walk::Target& target, const Pointees& pointees)
      : target_(target), pointees_(pointees) {}

  // What a block is whose first words (all, or as many as were read) are `words`.
  Container recognise(const walk::Block& block, std::span<const uint64_t> words) const;

 private:
  // Whether the word at `address` is there and has `value`.
  bool has(uint64_t address, uint64_t value) const;
  bool is_pointer(uint64_t word) const;

  bool is_tree_node(uint64_t address, uint64_t parent, uint64_t left, uint64_t right,
                    uint64_t node_parent_at, uint64_t node_left_at) const;
  bool is_list_node(const walk::Block& block, std::span<const uint64_t> words) const;
  bool is_chain_node(const walk::Block& block, std::span<const uint64_t> words) const;
  bool is_hash_buckets(const walk::Block& block, std::span<const uint64_t> words) const;
  bool is_deque_map(std::span<const uint64_t> words) const;

  const walk::Target& target_;
  const Pointees& pointees_;
};

}  // namespace tide::inspect
