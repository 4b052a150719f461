#include "trace/workload_slots.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {

WorkloadSlots::Taken WorkloadSlots::take_other(uint32_t thread, uint64_t operation) {
  if (count_ < uint64_t{peak_} + peak_ / 4 + kSpare) {
    if (count_ == UINT32_MAX - 1) throw host::Error("more than 4 billion blocks live at once");
    return {count_++, kNobody, 0};
  }
  return take_over(thread, operation);
}

// From the thread that has most of them, half of those, so that it is rare.
WorkloadSlots::Taken WorkloadSlots::take_over(uint32_t thread, uint64_t operation) {
  const auto most = std::max_element(
      own_.begin(), own_.end(), [](const Own& a, const Own& b) { return a.count() < b.count(); });
  Own& theirs = *most;
  Own& own = own_[thread];
  const size_t count = std::min((theirs.count() + 1) / 2, kMostTakenOver);
  uint64_t operations = 0;
  for (const size_t end = theirs.first + count; theirs.first < end; ++theirs.first) {
    const Empty& empty = theirs.emptied[theirs.first];
    operations = std::max(operations, empty.operation + 1);
    // Whoever takes them over from this thread waits for this operation, which waits for theirs.
    own.emptied.push_back({empty.slot, operation});
  }
  if (theirs.first * 2 > theirs.emptied.size()) {
    theirs.emptied.erase(theirs.emptied.begin(),
                         theirs.emptied.begin() + static_cast<std::ptrdiff_t>(theirs.first));
    theirs.first = 0;
  }
  return {own.take_last(), static_cast<uint32_t>(most - own_.begin()), operations};
}

}  // namespace tide::trace
