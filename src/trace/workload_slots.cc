#include "trace/workload_slots.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {

std::deque<WorkloadSlots::Empty>& WorkloadSlots::of(uint32_t thread) {
  if (thread >= empty_.size()) empty_.resize(size_t{thread} + 1);
  return empty_[thread];
}

WorkloadSlots::Taken WorkloadSlots::take(uint32_t thread, uint64_t operation) {
  peak_ = std::max(peak_, ++live_);
  std::deque<Empty>& own = of(thread);
  if (!own.empty()) {
    const uint32_t slot = own.back().slot;
    own.pop_back();
    return {slot, kNobody, 0};
  }
  if (count_ < uint64_t{peak_} + peak_ / 4 + kSpare) {
    if (count_ == UINT32_MAX - 1) throw host::Error("more than 4 billion blocks live at once");
    return {count_++, kNobody, 0};
  }
  return take_over(thread, operation);
}

// From the thread that has most of them, half of those, so that it is rare.
WorkloadSlots::Taken WorkloadSlots::take_over(uint32_t thread, uint64_t operation) {
  const auto most =
      std::max_element(empty_.begin(), empty_.end(),
                       [](const auto& a, const auto& b) { return a.size() < b.size(); });
  std::deque<Empty>& theirs = *most;
  std::deque<Empty>& own = empty_[thread];
  const size_t count = std::min((theirs.size() + 1) / 2, kMostTakenOver);
  uint64_t operations = 0;
  for (size_t i = 0; i < count; ++i) {
    operations = std::max(operations, theirs.front().operation + 1);
    // Whoever takes them over from this thread waits for this operation, which waits for theirs.
    own.push_back({theirs.front().slot, operation});
    theirs.pop_front();
  }
  const uint32_t slot = own.back().slot;
  own.pop_back();
  return {slot, static_cast<uint32_t>(most - empty_.begin()), operations};
}

void WorkloadSlots::give(uint32_t thread, uint32_t slot, uint64_t operation) {
  --live_;
  of(thread).push_back({slot, operation});
}

}  // namespace tide::trace
