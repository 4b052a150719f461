// What a word points to, if it is a pointer: the heap, a module, a stack.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "inspect/block_index.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

enum class Pointee : uint8_t { kNothing, kHeap, kModule, kStack, kOther };

using Heaps = std::span<const std::unique_ptr<walk::Heap>>;

class Pointees {
 public:
  // Both must stay.
  Pointees(const walk::Target& target, Heaps heaps);

  Pointee of(uint64_t word) const {
    if (word - lowest_ >= extent_) return Pointee::kNothing;
    const Area& last = areas_[last_];
    return word - last.start < last.end - last.start ? last.pointee : look_up(word);
  }

  // The live block that `word` points into, or nothing.
  std::optional<walk::Block> live_block(uint64_t word) const;
  // The same if `word` points to its first byte.
  std::optional<walk::Block> live_block_at(uint64_t word) const;

 private:
  struct Area {
    uint64_t start;
    uint64_t end;
    Pointee pointee;
  };

  Pointee look_up(uint64_t word) const;

  Heaps heaps_;
  std::unique_ptr<BlockIndex> index_;  // where a heap's own search is slow
  std::vector<Area> areas_;            // ascending, without overlaps
  uint64_t lowest_ = 0;
  uint64_t extent_ = 0;
  mutable size_t last_ = 0;  // the area of the last pointer: the next one is often in it too
};

}  // namespace tide::inspect
