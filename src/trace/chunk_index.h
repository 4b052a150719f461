// Where the encoder of a chunk finds what its model knows: slots by address, requests by what was
// asked for. The decoder needs neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trace/chunk_model.h"

namespace tide::trace {

class SlotIndex {
 public:
  void reset() {
    table_.assign(kFirst, kNoSlot);
    used_ = 0;
  }

  // Where the slot of the address is named, or (kNoSlot) is to be named with put().
  uint32_t* find(ChunkModel& model, uint64_t pointer) {
    const size_t mask = table_.size() - 1;
    for (size_t i = start(pointer);; ++i) {
      uint32_t& entry = table_[i & mask];
      if (entry == kNoSlot || model.slot(entry).pointer == pointer) return &entry;
    }
  }

  void put(ChunkModel& model, uint32_t* place, uint32_t slot) {
    *place = slot;
    if (++used_ * 2 > table_.size()) grow(model);
  }

 private:
  static constexpr size_t kFirst = 4096;

  size_t start(uint64_t pointer) const {
    return static_cast<size_t>((pointer >> 3) * 0x9e3779b97f4a7c15 >> 32);
  }

  void grow(ChunkModel& model) {
    table_.assign(table_.size() * 2, kNoSlot);
    for (uint32_t i = 0; i < model.slots(); ++i) *find(model, model.slot(i).pointer) = i;
  }

  std::vector<uint32_t> table_;
  size_t used_ = 0;
};

class RequestIndex {
 public:
  void reset() { table_.assign(kEntries, 0); }

  // As SlotIndex::find(); not there is kNoRequest.
  uint16_t& find(ChunkModel& model, uint64_t size, const uint64_t* extras) {
    const uint64_t key = size ^ extras[0] << 24 ^ extras[1] << 40;
    for (size_t i = static_cast<size_t>(key * 0x9e3779b97f4a7c15 >> 32);; ++i) {
      uint16_t& entry = table_[i % kEntries];
      if (entry == ChunkModel::kNoRequest) return entry;
      const ChunkModel::Request& known = model.request(entry);
      if (known.size == size && known.extras[0] == extras[0] && known.extras[1] == extras[1]) {
        return entry;
      }
    }
  }

 private:
  static constexpr size_t kEntries = 8192;
  static_assert(kEntries > 2 * ChunkModel::kMostRequests);

  std::vector<uint16_t> table_;
};

}  // namespace tide::trace
