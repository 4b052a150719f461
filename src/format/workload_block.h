// The operations of a block of a workload, once it is decompressed. Every byte may be hostile:
// nothing is read outside of it, and what can't be an operation says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/compiler.h"
#include "format/record_reader.h"
#include "format/trace_call.h"
#include "format/trace_record.h"
#include "format/workload.h"

namespace tide::format {

struct WorkloadOperation {
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint64_t kNotKnown = UINT64_MAX;

  Call call;
  bool has_size;         // of a release
  uint8_t form;          // NewForm
  uint32_t slot;         // kNone: a null pointer
  bool has_old_block;    // of a realloc
  uint32_t wait_thread;  // index; kNone: it waits for nobody
  uint64_t wait_operations;
  uint64_t delta_ns;
  uint64_t size;
  uint64_t usable;
  uint64_t alignment;  // 0: none was given
  uint64_t count;      // of calloc and reallocarray; the size is the product
  // Of an allocation, how many of its bytes the program wrote; kNotKnown: that was not looked at.
  // Not from WorkloadBlockReader: see WorkloadTouchReader.
  uint64_t touched;
};

constexpr bool has_alignment(Call call) {
  return call == Call::kAlignedAlloc || call == Call::kPosixMemalign || call == Call::kMemalign ||
         call == Call::kFreeAlignedSized;
}
// Whether it is one that a workload may have.
constexpr bool is_operation(Call call) {
  return (allocates(call) && call != Call::kReallocDone) || releases(call) ||
         call == Call::kRealloc || call == Call::kReallocarray;
}

// The touches of a thread, asked for in the order of its allocations.
class WorkloadTouchReader {
 public:
  WorkloadTouchReader() = default;
  WorkloadTouchReader(const uint8_t* bytes, size_t size, bool are_recorded)
      : at_(bytes), end_(bytes + size), are_recorded_(are_recorded) {
    read_next();
  }

  // `number`: of the operation in the thread, from 0, an allocation of `size` bytes.
  uint64_t touched(uint64_t number, uint64_t size) {
    if (TIDE_LIKELY(number != next_)) {
      return are_recorded_ && size >= kTouchedFrom ? size : WorkloadOperation::kNotKnown;
    }
    const uint64_t touched = touched_ < size ? touched_ : size;
    const bool is_known = touched_ != WorkloadOperation::kNotKnown;
    read_next();
    return is_known ? touched : WorkloadOperation::kNotKnown;
  }

  // What follows is no touch.
  bool broken() const { return broken_; }

 private:
  void read_next() {
    uint64_t between = 0;
    uint64_t bytes = 0;
    if (at_ == end_ || broken_) {
      next_ = kNever;
    } else if (!read_varint(&at_, end_, &between) || !read_varint(&at_, end_, &bytes)) {
      broken_ = true;
      next_ = kNever;
    } else {
      next_ = after_ + between;
      after_ = next_ + 1;
      touched_ = bytes - 1;
    }
  }

  static constexpr uint64_t kNever = UINT64_MAX;

  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  uint64_t next_ = kNever;
  uint64_t after_ = 0;
  uint64_t touched_ = 0;
  bool are_recorded_ = false;
  bool broken_ = false;
};

class WorkloadBlockReader {
 public:
  WorkloadBlockReader() = default;

  // False: the columns don't fit. The memory is needed until the last operation is read.
  bool open(const uint8_t* bytes, size_t size, uint32_t operations, uint32_t slots) {
    uint32_t lengths[kWorkloadColumns];
    if (size < sizeof lengths) return false;
    memcpy(lengths, bytes, sizeof lengths);
    size_t at = sizeof lengths;
    for (size_t i = 0; i < kWorkloadColumns; ++i) {
      if (lengths[i] > size - at) return false;
      at_[i] = bytes + at;
      at += lengths[i];
      end_[i] = bytes + at;
    }
    left_ = operations;
    slots_ = slots;
    last_slot_ = 0;
    return at == size && lengths[kKinds] == operations;
  }

  uint32_t left() const { return left_; }

  // False at the end, and (with left() > 0) where what follows is no operation.
  bool next(WorkloadOperation& operation) {
    if (left_ == 0) return false;
    const uint8_t kind = *at_[kKinds]++;
    // The two that most are have code of their own, in which what a call has is known.
    switch (kind & ~kWaits) {
      case static_cast<uint8_t>(Call::kFree):
        return read(operation, Call::kFree, kind & kWaits);
      case static_cast<uint8_t>(Call::kMalloc):
        return read(operation, Call::kMalloc, kind & kWaits);
      default:
        return read(operation, static_cast<Call>(kind & kWorkloadCall), kind);
    }
  }

 private:
  TIDE_INLINE bool read(WorkloadOperation& operation, Call call, unsigned kind) {
    operation.call = call;
    operation.has_size = (kind & kHasSize) != 0;
    operation.form = 0;
    operation.wait_thread = WorkloadOperation::kNone;
    operation.size = operation.usable = operation.alignment = operation.count = 0;
    operation.touched = WorkloadOperation::kNotKnown;
    if (!is_operation(call) || !number(kTimes, &operation.delta_ns)) return false;
    const bool is_release = releases(call);
    const bool has_no_slot = (kind & kNoSlot) != 0;
    operation.has_old_block = !has_no_slot;
    operation.slot = WorkloadOperation::kNone;
    uint64_t value;
    if (!is_release || !has_no_slot) {
      if (!number(kSlots, &value)) return false;
      const uint64_t slot = last_slot_ + unzigzag(value);
      if (slot >= slots_) return false;
      operation.slot = static_cast<uint32_t>(slot);
      last_slot_ = slot;
    }
    if (!is_release || operation.has_size) {
      if (!number(kSizes, &operation.size)) return false;
    }
    if (!is_release) {
      if (!number(kSlacks, &value)) return false;
      operation.usable = operation.size + value;
    }
    if (!extras(operation, call)) return false;
    if ((kind & kWaits) != 0) {
      if (!number(kWaitsFor, &value) || value >= WorkloadOperation::kNone) return false;
      operation.wait_thread = static_cast<uint32_t>(value);
      if (!number(kWaitsFor, &operation.wait_operations)) return false;
    }
    --left_;
    return true;
  }

  TIDE_INLINE bool number(WorkloadColumn column, uint64_t* value) {
    const uint8_t*& at = at_[column];
    if (TIDE_LIKELY(at != end_[column] && *at < 0x80)) return *value = *at++, true;
    if (end_[column] - at >= 2 && at[1] < 0x80) {
      *value = (at[0] & 0x7fu) | unsigned{at[1]} << 7;
      at += 2;
      return true;
    }
    return read_varint(&at, end_[column], value);
  }

  TIDE_INLINE bool extras(WorkloadOperation& operation, Call call) {
    uint64_t value;
    if (call == Call::kCalloc || call == Call::kReallocarray) {
      return number(kExtras, &operation.count);
    }
    bool is_aligned = has_alignment(call);
    if (call == Call::kNewForm || call == Call::kDeleteForm) {
      if (!number(kExtras, &value) || value > 0xf) return false;
      operation.form = static_cast<uint8_t>(value);
      is_aligned = (value & kFormAligned) != 0;
    }
    if (!is_aligned) return true;
    if (!number(kExtras, &value) || value > 63) return false;
    operation.alignment = uint64_t{1} << value;
    return true;
  }

  const uint8_t* at_[kWorkloadColumns] = {};
  const uint8_t* end_[kWorkloadColumns] = {};
  uint32_t left_ = 0;
  uint32_t slots_ = 0;
  uint64_t last_slot_ = 0;
};

}  // namespace tide::format
