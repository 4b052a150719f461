// The references that blocks hold: words that point to a block, at its first byte or further in.
#pragma once

#include <array>
#include <cstdint>

#include "inspect/block_index.h"
#include "inspect/word_reader.h"

namespace tide::inspect {

// Goes over blocks' contents and looks each word up. One per thread.
class BlockReferences {
 public:
  BlockReferences(const walk::Target& target, const BlockIndex& index)
      : index_(index),
        finder_(index),
        reader_(target),
        lowest_(index.lowest()),
        span_(index.highest() - index.lowest()) {}

  // visit(from, to) for the references of blocks [begin, end), in order. A block's references to
  // itself are left out, and of such to the same block one after another all but the first.
  template <class Visit>
  void for_each(uint32_t begin, uint32_t end, Visit visit);

  // Of the blocks that were asked for: what is not there.
  uint64_t missing_bytes() const { return reader_.missing_bytes(); }

 private:
  // A word whose place in the index is on its way into the cache.
  struct Pending {
    BlockIndex::Finder::Spot spot;
    uint64_t word;
    uint32_t from;
  };
  // More than memory answers at once, few enough to stay at hand.
  static constexpr size_t kMost = 32;

  template <class Visit>
  void settle(Visit& visit);

  const BlockIndex& index_;
  BlockIndex::Finder finder_;
  WordReader reader_;
  const uint64_t lowest_;
  const uint64_t span_;
  std::array<Pending, kMost> pending_;
  std::array<BlockIndex::Nearest, kMost> nearest_{};
  size_t pending_count_ = 0;
  uint32_t last_from_ = BlockIndex::kNone;
  uint32_t last_to_ = BlockIndex::kNone;
};

template <class Visit>
void BlockReferences::for_each(uint32_t begin, uint32_t end, Visit visit) {
  last_from_ = BlockIndex::kNone;
  index_.for_each(begin, end, [&](uint32_t from, uint64_t address, uint64_t bytes) {
    reader_.read(address, address + bytes, [&](uint64_t, Words words) {
      for (size_t i = 0; i < words.size(); ++i) {
        const uint64_t word = words[i];
        if (word - lowest_ > span_) continue;
        const BlockIndex::Finder::Spot spot = finder_.spot_of(word);
        if (spot == nullptr) continue;
        pending_[pending_count_++] = {spot, word, from};
        if (pending_count_ == kMost) settle(visit);
      }
    });
  });
  settle(visit);
}

template <class Visit>
void BlockReferences::settle(Visit& visit) {
  const size_t count = pending_count_;
  pending_count_ = 0;
  for (size_t i = 0; i < count; ++i) {
    nearest_[i] = finder_.nearest(pending_[i].spot, pending_[i].word);
  }
  for (size_t i = 0; i < count; ++i) {
    const Pending& pending = pending_[i];
    const uint32_t to = finder_.block_of(nearest_[i]);
    if (to == BlockIndex::kNone || to == pending.from) continue;
    if (to == last_to_ && pending.from == last_from_) continue;
    last_from_ = pending.from;
    last_to_ = to;
    visit(pending.from, to);
  }
}

}  // namespace tide::inspect
