// The columns of a block of a workload while it is being written. One memory has room for some
// operations, so numbers are put there without a look at what is left.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/compiler.h"
#include "format/workload.h"

namespace tide::trace {

class WorkloadColumns {
 public:
  // Before each operation: room for all that one can have.
  void begin_operation() {
    if (operations_ == room_) grow();
    ++operations_;
  }
  uint32_t operations() const { return operations_; }

  void byte(format::WorkloadColumn column, size_t value) {
    *at_[column]++ = static_cast<uint8_t>(value);
  }
  // As LEB128. Without a branch for what nobody can foresee: whether one byte is enough.
  TIDE_INLINE void number(format::WorkloadColumn column, uint64_t value) {
    if (TIDE_UNLIKELY(value >= 1 << 14)) return long_number(column, value);
    const bool is_long = value >= 0x80;
    uint8_t* const at = at_[column];
    at[0] = static_cast<uint8_t>(value | size_t{is_long} << 7);
    at[1] = static_cast<uint8_t>(value >> 7);
    at_[column] = at + 1 + is_long;
  }
  // Where that can be foreseen.
  void small_number(format::WorkloadColumn column, uint64_t value) {
    if (value < 0x80) return byte(column, value);
    number(column, value);
  }

  std::span<const uint8_t> bytes(format::WorkloadColumn column) const {
    return {start_[column], at_[column]};
  }
  // Of a block that has been written.
  void clear() {
    at_ = start_;
    operations_ = 0;
  }

 private:
  void grow();
  void long_number(format::WorkloadColumn column, uint64_t value);

  std::array<uint8_t*, format::kWorkloadColumns> at_{};
  std::array<uint8_t*, format::kWorkloadColumns> start_{};
  std::unique_ptr<uint8_t[]> memory_;
  uint32_t operations_ = 0;
  uint32_t room_ = 0;
};

}  // namespace tide::trace
