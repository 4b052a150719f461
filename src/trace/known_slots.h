// The slots that a chunk names by their number, all of them in columns that say nothing else: so
// who reads knows them before it comes to them, and can fetch them ahead.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "format/trace_record.h"
#include "trace/chunk_columns.h"
#include "trace/chunk_model.h"

namespace tide::trace {

// What the first number of column kSlotsLong says that the others are.
enum class SlotNumbers : uint8_t { kDifferences = 0, kPlain = 1 };

class KnownSlots {
 public:
  void clear() {
    slots_.clear();
    at_ = 0;
  }
  void add(uint32_t slot) { slots_.push_back(slot); }

  // As differences, each to the one before it, where that is less: a program that frees in the
  // order of allocation. Else, where any may be next, as they are.
  void write(std::array<ColumnWriter, kColumns>& columns) const;
  // Throws host::Error: they are too few, or no such numbers.
  void read(std::array<ColumnReader, kColumns>& columns);

  bool is_at_end() const { return at_ == slots_.size(); }
  // The next one; some behind it are fetched. kNoSlot: there is none.
  uint32_t next(const ChunkModel& model) {
    if (at_ == slots_.size()) return kNoSlot;
    if (slots_.size() - at_ > kAhead) {
      model.prefetch(slots_[at_ + kAhead]);
      model.prefetch_neighbours(slots_[at_ + kAhead / 2]);
    }
    return slots_[at_++];
  }

 private:
  static constexpr size_t kAhead = 24;

  std::vector<uint32_t> slots_;
  size_t at_ = 0;
};

}  // namespace tide::trace
