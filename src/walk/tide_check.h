// Compares everything that a heap of Tide says of itself with everything else: records of slabs,
// the state map, bitmaps, lists, seals. What fits together was not written to by anybody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "walk/tide_heap.h"

namespace tide::walk {

class TideCheck {
 public:
  explicit TideCheck(const TideHeap& heap) : heap_(heap) {}

  // The first `most` problems; none: all fits together.
  std::vector<Problem> run(size_t most);

 private:
  bool is_full() const { return problems_.size() >= most_; }
  void report(uint64_t address, std::string text);
  void check_zone(const TideZone& zone);
  void check_slab(const TideZone& zone, const Slab& slab);
  void check_lists();
  void check_listed(const Listed& block);
  void check_large();
  void check_seals();
  // `bytes`: what the engine counts for the block. Returns whether it is sound.
  bool check_seal(uint64_t address, uint64_t bytes, bool is_of_class);
  void report_broken(uint64_t address, uint64_t bytes, bool is_of_class, bool may_be_unwritten);
  void check_freed();
  bool is_old_seal(uint64_t at) const;
  bool has_calls() const;

  const TideHeap& heap_;
  size_t most_ = 0;
  uint64_t used_ = 0;  // blocks that slabs count as live or in lists
  uint64_t live_ = 0;
  uint64_t listed_ = 0;
  std::optional<uint64_t> secret_;
  uint64_t broken_end_ = 0;  // of the last block with a broken seal
  std::vector<Problem> problems_;
};

}  // namespace tide::walk
