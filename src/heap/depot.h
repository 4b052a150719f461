// Batches of free blocks of one size class on their way between threads. Lock-free: a thread that
// frees what others allocate hands whole batches over here, and they come back to whoever runs out.
//
// One word says which slots hold a batch and which are claimed, that is, being filled or emptied by
// the thread whose compare-and-swap set the bit. A vanished thread in a forked child may leave a
// claim behind: drop_claims() there.
//
// Words and batches lie apart (ProcessHeap has both; all zero is empty): whether there is anything
// in a depot is asked often, and of many depots, and must not touch a page of each.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/compiler.h"
#include "layout/size_classes.h"

namespace tide::heap {

class Depot {
 public:
  static constexpr uint32_t kSlots = 4;
  // Caches that have to be small bring few blocks at once: these share a slot.
  static constexpr uint32_t kShortBatch = layout::kMaxBatch / 4;

  using Word = std::atomic<uint32_t>;
  struct Batch {
    uint32_t count = 0;
    void* blocks[layout::kMaxBatch] = {};
  };
  // Slots of the depots of some classes: the first ones of all lie together, since mostly no other
  // is used.
  static constexpr uint32_t kColumns = layout::kClassCount - layout::kSmallClasses - 1;
  static_assert(kColumns > layout::kSmallClasses);
  struct alignas(64) Batches {
    Batch slots[kSlots][kColumns];
  };

  // The depot of the class that `column` of the batches is for.
  Depot(Word& word, Batches& batches, uint32_t column = 0)
      : word_(word), batches_(&batches.slots[0][column]) {}

  // What bounds a depot in bytes: it uses the first `slots` slots only, and batches do not join to
  // more than `blocks`.
  struct Bound {
    uint32_t slots = kSlots;
    uint32_t blocks = layout::kMaxBatch;
  };

  // The blocks join a batch that has room for them, or make one of their own. False: there is no
  // room.
  bool put(const layout::BlockSlot* blocks, uint32_t count, Bound bound) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const uint32_t slot = slot_for(word, count, bound);
      if (slot == kSlots) return false;
      const bool joins = (word & full_bit(slot)) != 0;
      if (!word_.compare_exchange_weak(word, claimed(word, slot), std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        continue;
      }
      Batch& batch = in(slot);
      const uint32_t before = joins ? batch.count : 0;
      const bool fits =
          before == 0 || before + count <= bound.blocks;  // unless others were quicker
      if (TIDE_LIKELY(fits)) {
        __atomic_store_n(&batch.count, before + count, __ATOMIC_RELAXED);
        memcpy(batch.blocks + before, blocks, count * sizeof *blocks);
      }
      // Claimed becomes full. Pairs with the acquire in take(): the batch is seen whole.
      word = word_.fetch_xor(claim_bit(slot) | full_bit(slot), std::memory_order_release);
      if (TIDE_LIKELY(fits)) return true;
      word ^= claim_bit(slot) | full_bit(slot);
    }
  }

  // Whether put() would find room; as good as a moment's look can tell.
  bool has_room(uint32_t count, Bound bound) const {
    return slot_for(word_.load(std::memory_order_relaxed), count, bound) != kSlots;
  }

  // Up to `most` blocks, the last of a batch; 0 when there is no batch.
  uint32_t take(layout::BlockSlot* out, uint32_t most = layout::kMaxBatch) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    uint32_t slot;
    do {
      const uint32_t full = full_bits(word);
      if (full == 0) return 0;
      slot = static_cast<uint32_t>(std::countr_zero(full));
    } while (!word_.compare_exchange_weak(word, claimed(word, slot), std::memory_order_acquire,
                                          std::memory_order_relaxed));
    Batch& batch = in(slot);
    const uint32_t all = batch.count;
    const uint32_t count = all < most ? all : most;
    memcpy(out, batch.blocks + (all - count), count * sizeof *out);
    if (count == all) {
      // Pairs with the acquire in put(): we have read all before others write.
      word_.fetch_and(~claim_bit(slot), std::memory_order_release);
    } else {
      __atomic_store_n(&batch.count, all - count, __ATOMIC_RELAXED);
      word_.fetch_xor(claim_bit(slot) | full_bit(slot), std::memory_order_release);
    }
    return count;
  }

  // Blocks held, as good as a moment's look can tell.
  uint32_t count() const {
    uint32_t total = 0;
    const uint32_t full = full_bits(word_.load(std::memory_order_relaxed));
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      if ((full >> slot) & 1) total += __atomic_load_n(&in(slot).count, __ATOMIC_RELAXED);
    }
    return total;
  }

  // In a forked child: what a vanished thread had in hand is lost.
  void drop_claims() {
    const uint32_t word = word_.load(std::memory_order_relaxed);
    if (word != full_bits(word)) word_.store(full_bits(word), std::memory_order_relaxed);
  }

 private:
  Batch& in(uint32_t slot) const { return batches_[slot * kColumns]; }

  static constexpr uint32_t full_bits(uint32_t word) { return word & 0xff; }
  static constexpr uint32_t claimed_bits(uint32_t word) { return (word >> 8) & 0xff; }
  // The slot where `count` blocks would go: that of a batch that they can join, else a vacant one,
  // else kSlots. Long batches are not worth the look at others.
  uint32_t slot_for(uint32_t word, uint32_t count, Bound bound) const {
    if (count <= kShortBatch) {
      for (uint32_t full = full_bits(word); full != 0; full &= full - 1) {
        const auto slot = static_cast<uint32_t>(std::countr_zero(full));
        if (slot >= bound.slots) break;
        const uint32_t there = __atomic_load_n(&in(slot).count, __ATOMIC_RELAXED);
        if (there + count <= bound.blocks) return slot;
      }
    }
    const uint32_t vacant = vacant_bits(word, bound.slots);
    return vacant == 0 ? kSlots : static_cast<uint32_t>(std::countr_zero(vacant));
  }

  static constexpr uint32_t vacant_bits(uint32_t word, uint32_t slots) {
    return ~(full_bits(word) | claimed_bits(word)) & ((uint32_t{1} << slots) - 1);
  }
  static constexpr uint32_t full_bit(uint32_t slot) { return uint32_t{1} << slot; }
  static constexpr uint32_t claim_bit(uint32_t slot) { return uint32_t{1} << (slot + 8); }
  static constexpr uint32_t claimed(uint32_t word, uint32_t slot) {
    return (word | claim_bit(slot)) & ~full_bit(slot);
  }

  Word& word_;
  Batch* const batches_;
};

}  // namespace tide::heap
