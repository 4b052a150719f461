// The hash tables of C++'s library (std::unordered_map and alike), as libstdc++ lays them out, and
// which nodes are theirs. A node alone has nothing but the address of the next one, so it looks
// like that of any list that is linked one way.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "inspect/pointees.h"
#include "walk/target.h"

namespace tide::inspect {

class HashTables {
 public:
  // So many nodes are followed, in all tables together.
  static constexpr uint64_t kMostSteps = uint64_t{1} << 22;

  // A block that may be a node. Before find().
  void add(uint64_t block) { blocks_.emplace(block, false); }

  // Scans all writable memory for tables, and follows their nodes.
  void find(const walk::Target& target, const Pointees& pointees, uint64_t most_steps = kMostSteps);

  // Whether a block that was added is a node of a table.
  bool has(uint64_t block) const {
    const auto found = blocks_.find(block);
    return found != blocks_.end() && found->second;
  }
  // Says so of one.
  void set(uint64_t block) { blocks_[block] = true; }
  // False: there were more tables or nodes than are followed.
  bool is_complete() const { return is_complete_; }

 private:
  std::unordered_map<uint64_t, bool> blocks_;
  bool is_complete_ = true;
};

}  // namespace tide::inspect
