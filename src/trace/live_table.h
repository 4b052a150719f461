// The live blocks of a process by address, and a number for each: its slot, from 0, the one used
// last first. So tables by slot are as long as the most blocks that were live at once.
//
// 32 bytes a block in pages that never move, and a hash table of 8-byte entries that is at most
// half full: searches are short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/compiler.h"
#include "host/large_memory.h"

namespace tide::trace {

struct Block {
  uint64_t address = 0;  // below 2^48
  uint64_t time_ns = 0;
  uint64_t size = 0;    // below 2^48
  uint64_t usable = 0;  // size and less than 4 GiB
  uint32_t thread = 0;
  uint32_t stack = 0;
};

class LiveTable {
 public:
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  LiveTable();

  // The block's slot; kNoSlot: there is one at the address.
  uint32_t add(const Block& block) { return attach(kNoSlot, block); }
  // Takes the block out; kNoSlot: there is none. `block` is what it was. Its slot is free.
  uint32_t take(uint64_t address, Block& block) {
    const uint32_t slot = detach(address, block);
    if (slot != kNoSlot) release(slot);
    return slot;
  }

  // The same, but the slot stays taken: for a block that moves.
  uint32_t detach(uint64_t address, Block& block) {
    const size_t i = find(address);
    if (i == kAbsent) return kNoSlot;
    const uint32_t slot = entries_[i].slot;
    Packed& packed = at(slot);
    block = unpack(packed);
    packed.thread = kFree;
    --blocks_;
    erase(i);
    return slot;
  }
  // The block's slot, and what it is; kNoSlot: there is none.
  uint32_t look(uint64_t address, Block& block) const {
    const size_t i = find(address);
    if (i == kAbsent) return kNoSlot;
    block = unpack(at(entries_[i].slot));
    return entries_[i].slot;
  }
  // The block comes at that slot, or at a new one (kNoSlot). As add().
  uint32_t attach(uint32_t slot, const Block& block);
  void release(uint32_t slot) {
    at(slot).stack = free_;
    free_ = slot;
  }
  // The address will be asked for soon.
  void prefetch(uint64_t address) const {
    __builtin_prefetch(&entries_[start(tag_of(address & kLow48))]);
  }

  // That has been done a while ago: now for the block itself. Inline by force: gcc 12 takes a
  // function that only fetches for one that does nothing.
  TIDE_INLINE void prefetch_block(uint64_t address) const {
    const uint32_t tag = tag_of(address & kLow48);
    const size_t mask = entries_.size() - 1;
    for (size_t i = start(tag); entries_[i].slot != kNoSlot; i = (i + 1) & mask) {
      if (entries_[i].tag == tag) return __builtin_prefetch(&at(entries_[i].slot), 1);
    }
  }

  bool contains(uint64_t address) const { return find(address) != kAbsent; }

  size_t blocks() const { return blocks_; }
  // One more than the greatest slot ever.
  size_t slots() const { return slots_; }

  // visit(const Block&, slot), by ascending slots.
  template <class Visit>
  void for_each(Visit visit) const {
    for (uint32_t slot = 0; slot < slots_; ++slot) {
      const Packed& packed = at(slot);
      if (packed.is_used()) visit(unpack(packed), slot);
    }
  }

 private:
  struct Packed {
    uint64_t address_slack;  // 48 bits, the low 16 of the slack
    uint64_t size_slack;     // 48 bits, the high 16
    uint64_t time_ns;
    uint32_t thread;  // kFree: no block here, or one that moves
    uint32_t stack;   // of a free one the next
    bool is_used() const { return thread != kFree; }
  };
  static_assert(sizeof(Packed) == 32);
  struct Entry {
    uint32_t tag;
    uint32_t slot;
  };

  static constexpr uint32_t kFree = UINT32_MAX;
  static constexpr size_t kAbsent = SIZE_MAX;
  static constexpr unsigned kPageShift = 16;
  struct Release {
    void operator()(Packed* page) const {
      host::LargeAllocator<Packed>().deallocate(page, size_t{1} << kPageShift);
    }
  };
  using Page = std::unique_ptr<Packed[], Release>;
  static constexpr uint64_t kLow48 = (uint64_t{1} << 48) - 1;

  // The tag alone says where its search starts, so entries move without a look at their blocks.
  static uint32_t tag_of(uint64_t address) {
    return static_cast<uint32_t>((address >> 3) * 0x9e3779b97f4a7c15 >> 32);
  }
  size_t start(uint32_t tag) const { return tag >> shift_; }
  Packed& at(uint32_t slot) { return pages_[slot >> kPageShift][slot & ((1u << kPageShift) - 1)]; }
  const Packed& at(uint32_t slot) const {
    return pages_[slot >> kPageShift][slot & ((1u << kPageShift) - 1)];
  }
  // Where the address's entry is.
  size_t find(uint64_t address) const {
    const uint32_t tag = tag_of(address & kLow48);
    const size_t mask = entries_.size() - 1;
    for (size_t i = start(tag);; i = (i + 1) & mask) {
      const Entry entry = entries_[i];
      if (entry.slot == kNoSlot) return kAbsent;
      if (entry.tag == tag && ((at(entry.slot).address_slack ^ address) & kLow48) == 0) return i;
    }
  }
  // Entries behind the hole move up, so that no mark of a deleted one is needed.
  void erase(size_t hole) {
    const size_t mask = entries_.size() - 1;
    for (size_t i = (hole + 1) & mask; entries_[i].slot != kNoSlot; i = (i + 1) & mask) {
      const size_t home = start(entries_[i].tag);
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        entries_[hole] = entries_[i];
        hole = i;
      }
    }
    entries_[hole].slot = kNoSlot;
  }
  static Block unpack(const Packed& packed) {
    const uint64_t size = packed.size_slack & kLow48;
    const uint64_t slack = packed.address_slack >> 48 | packed.size_slack >> 48 << 16;
    return {packed.address_slack & kLow48,
            packed.time_ns,
            size,
            size + slack,
            packed.thread,
            packed.stack};
  }
  uint32_t new_slot();
  void grow();

  std::vector<Entry, host::LargeAllocator<Entry>> entries_;
  unsigned shift_;
  std::vector<Page> pages_;
  uint32_t slots_ = 0;
  uint32_t free_ = kNoSlot;
  size_t blocks_ = 0;
};

}  // namespace tide::trace
