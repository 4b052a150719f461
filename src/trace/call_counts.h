// Calls counted by the names that people know: all forms of operator new are "new" or "new[]",
// a realloc is one call though it has two records.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "trace/event.h"

namespace tide::trace {

// The call that an event counts as; kNone: as none.
inline Call counted_as(const Event& event) {
  switch (event.call) {
    case Call::kNewForm:
      return (event.extras[0] & format::kFormArray) != 0 ? Call::kNewArray : Call::kNew;
    case Call::kDeleteForm:
      return (event.extras[0] & format::kFormArray) != 0 ? Call::kDeleteArray : Call::kDelete;
    case Call::kReallocDone:
    case Call::kMremapDone:
    case Call::kThread:
    case Call::kProcess:
    case Call::kStack:
    case Call::kNote:
    case Call::kFailed:
    case Call::kLowBits:
      return Call::kNone;
    default:
      return event.call;
  }
}

class CallCounts {
 public:
  void add(Call call, uint64_t count = 1) { counts_[static_cast<size_t>(call)] += count; }
  uint64_t operator[](Call call) const { return counts_[static_cast<size_t>(call)]; }
  void add(const CallCounts& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  uint64_t total() const {
    uint64_t sum = 0;
    for (size_t i = 1; i < counts_.size(); ++i) sum += counts_[i];
    return sum;
  }

 private:
  std::array<uint64_t, format::kCallCount> counts_{};
};

}  // namespace tide::trace
