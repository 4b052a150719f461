#include "trace/live_table.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {
namespace {

constexpr unsigned kFirstBits = 10;

}  // namespace

LiveTable::LiveTable()
    : entries_(size_t{1} << kFirstBits, Entry{0, kNoSlot}), shift_(32 - kFirstBits) {}

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
  if (++blocks_ * 2 > entries_.size()) grow();
  return slot;
}

uint32_t LiveTable::new_slot() {
  if (free_ != kNoSlot) {
    const uint32_t slot = free_;
    free_ = at(slot).stack;
    return slot;
  }
  if (slots_ == kNoSlot - 1) throw host::Error("more than 4 billion blocks live at once");
  if (slots_ >> kPageShift == pages_.size()) {
    pages_.emplace_back(host::LargeAllocator<Packed>().allocate(size_t{1} << kPageShift));
  }
  return slots_++;
}

void LiveTable::grow() {
  if (shift_ == 0) throw host::Error("more than 2 billion blocks live at once");
  decltype(entries_) old(entries_.size() * 2, Entry{0, kNoSlot});
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
