// A set of blocks: a bit each.
#pragma once

#include <cstdint>
#include <vector>

namespace tide::inspect {

class BlockSet {
 public:
  explicit BlockSet(uint32_t count) : words_((uint64_t{count} + 63) / 64) {}

  bool contains(uint32_t block) const { return (words_[block / 64] >> (block % 64) & 1) != 0; }
  // False: it was in it already.
  bool add(uint32_t block) {
    uint64_t& word = words_[block / 64];
    const uint64_t bit = uint64_t{1} << (block % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace tide::inspect
