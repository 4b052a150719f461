#include "trace/live_table.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {
namespace {

constexpr unsigned kFirstBits = 10;

}  // namespace

LiveTable::LiveTable()
    : entries_(size_t{1} << kFirstBits, Entry{0, kNoSlot}), shift_(32 - kFirstBits) {}

size_t LiveTable::find(uint64_t address) const {
  const uint32_t tag = tag_of(address & kLow48);
  const size_t mask = entries_.size() - 1;
  for (size_t i = start(tag);; i = (i + 1) & mask) {
    const Entry entry = entries_[i];
    if (entry.slot == kNoSlot) return kAbsent;
    if (entry.tag == tag && ((at(entry.slot).address_slack ^ address) & kLow48) == 0) {
      return i;
    }
  }
}

uint32_t LiveTable::attach(uint32_t slot, const Block& block) {
  const uint64_t address = block.address & kLow48;
  const uint32_t tag = tag_of(address);
  const size_t mask = entries_.size() - 1;
  size_t i = start(tag);
  for (; entries_[i].slot != kNoSlot; i = (i + 1) & mask) {
    if (entries_[i].tag == tag && (at(entries_[i].slot).address_slack & kLow48) == address) {
      return kNoSlot;
    }
  }
  if (slot == kNoSlot) slot = new_slot();
  entries_[i] = {tag, slot};
  const uint64_t size = std::min(block.size, kLow48);
  const uint64_t slack =
      std::min<uint64_t>(block.usable > block.size ? block.usable - block.size : 0, UINT32_MAX);
  at(slot) = {address | slack << 48, size | slack >> 16 << 48, block.time_ns,
              std::min(block.thread, kFree - 1), block.stack};
  if (++blocks_ * 4 > entries_.size() * 3) grow();
  return slot;
}

uint32_t LiveTable::detach(uint64_t address, Block& block) {
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

void LiveTable::release(uint32_t slot) {
  at(slot).stack = free_;
  free_ = slot;
}

Block LiveTable::unpack(const Packed& packed) {
  const uint64_t size = packed.size_slack & kLow48;
  const uint64_t slack = packed.address_slack >> 48 | packed.size_slack >> 48 << 16;
  return {packed.address_slack & kLow48,
          packed.time_ns,
          size,
          size + slack,
          packed.thread,
          packed.stack};
}

uint32_t LiveTable::new_slot() {
  if (free_ != kNoSlot) {
    const uint32_t slot = free_;
    free_ = at(slot).stack;
    return slot;
  }
  if (slots_ == kNoSlot - 1) throw host::Error("more than 4 billion blocks live at once");
  if (slots_ >> kPageShift == pages_.size()) {
    pages_.push_back(std::make_unique_for_overwrite<Packed[]>(size_t{1} << kPageShift));
  }
  return slots_++;
}

// Entries behind the hole move up, so that no mark of a deleted one is needed.
void LiveTable::erase(size_t hole) {
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

void LiveTable::grow() {
  if (shift_ == 0) throw host::Error("more than 3 billion blocks live at once");
  std::vector<Entry> old(entries_.size() * 2, Entry{0, kNoSlot});
  old.swap(entries_);
  --shift_;
  const size_t mask = entries_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.slot == kNoSlot) continue;
    size_t i = start(entry.tag);
    while (entries_[i].slot != kNoSlot) i = (i + 1) & mask;
    entries_[i] = entry;
  }
}

}  // namespace tide::trace
