// Compares everything that a heap of Tide says of itself with everything else: records of slabs,
// the state map, bitmaps, lists, seals. What fits together was not written to by anybody else.
#pragma once

#include <cstdint>
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
  bool has_calls() const;

  const TideHeap& heap_;
  size_t most_ = 0;
  uint64_t used_ = 0;  // blocks that slabs count as live or in lists
  uint64_t live_ = 0;
  uint64_t listed_ = 0;
  std::vector<Problem> problems_;
};

}  // namespace tide::walk
