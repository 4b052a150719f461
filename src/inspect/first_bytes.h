// The first bytes of many blocks, with as few reads as can be: blocks that lie close together are
// read as one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

class FirstBytes {
 public:
  // `target` must stay. At most `bytes` of each block.
  FirstBytes(const walk::Target& target, size_t bytes) : target_(target), bytes_(bytes) {}

  // visit(block, first) for each; `first` is shorter where not all is there, and stays until the
  // next one.
  template <class Visit>
  void for_each(std::span<const walk::Block> blocks, Visit visit) {
    while (!blocks.empty()) {
      const size_t count = count_close(blocks);
      const uint64_t start = blocks[0].address;
      const walk::Block& last = blocks[count - 1];
      const std::span<const std::byte> together =
          target_.view(start, last.address - start + wanted(last), buffer_);
      for (const walk::Block& block : blocks.first(count)) {
        const uint64_t offset = block.address - start;
        const size_t length = wanted(block);
        if (offset <= together.size() && length <= together.size() - offset) {
          visit(block, together.subspan(offset, length));
        } else {
          visit(block, target_.view(block.address, length, own_buffer_));
        }
      }
      blocks = blocks.subspan(count);
    }
  }

 private:
  // Pages without a block's begin are not read.
  static constexpr uint64_t kPage = 4096;
  static constexpr uint64_t kMostTogether = 256 << 10;

  size_t wanted(const walk::Block& block) const {
    return static_cast<size_t>(std::min<uint64_t>(bytes_, std::max<uint64_t>(block.bytes, 1)));
  }

  size_t count_close(std::span<const walk::Block> blocks) const {
    size_t count = 1;
    while (count < blocks.size() && blocks[count].address - blocks[count - 1].address <= kPage &&
           blocks[count].address - blocks[0].address < kMostTogether) {
      ++count;
    }
    return count;
  }

  const walk::Target& target_;
  const size_t bytes_;
  walk::Buffer buffer_;
  walk::Buffer own_buffer_;
};

}  // namespace tide::inspect
