// Who keeps pages from going back: of each page with live blocks of a slab, the bytes that are not
// live are pinned by these blocks, by each as much as it has of the live ones. So what all blocks
// pin adds up to the bytes of such pages beyond the live ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "walk/heap.h"

namespace tide::inspect {

class PagePins {
 public:
  // `blocks`: addresses of the blocks that are asked for, ascending.
  explicit PagePins(const std::vector<uint64_t>& blocks) : blocks_(blocks) {}

  void add(const walk::Span& span);

  // By all live blocks.
  uint64_t total_bytes() const { return total_bytes_; }
  // What a block that was asked for pins on a page.
  struct Pin {
    size_t block;  // its place among those
    uint64_t page;
    double bytes;
  };
  const std::vector<Pin>& pins() const { return pins_; }

 private:
  void count_live(const walk::Span& span, size_t pages);

  std::vector<uint64_t> blocks_;
  uint64_t total_bytes_ = 0;
  std::vector<Pin> pins_;
  std::vector<uint32_t> live_;  // bytes on each page of the span at hand
};

}  // namespace tide::inspect
