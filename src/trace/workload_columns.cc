#include "trace/workload_columns.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tide::trace {
namespace {

constexpr size_t kNumberBytes = 10;
// That an operation has at most: a byte; numbers; a form and an alignment; a thread and operations.
constexpr size_t kMostBytes[format::kWorkloadColumns] = {
    1,                 // kKinds
    kNumberBytes,      // kTimes
    kNumberBytes,      // kSlots
    kNumberBytes,      // kSizes
    kNumberBytes,      // kSlacks
    2 * kNumberBytes,  // kExtras
    2 * kNumberBytes,  // kWaitsFor
};
constexpr size_t kBehind = 1;  // what number() writes more than it keeps
constexpr uint32_t kFirstRoom = 128;

}  // namespace

void WorkloadColumns::grow() {
  const uint32_t room = std::max(kFirstRoom, room_ * 2);
  size_t bytes = 0;
  for (const size_t most : kMostBytes) bytes += most * room + kBehind;
  std::unique_ptr<uint8_t[]> memory(new uint8_t[bytes]);
  uint8_t* start = memory.get();
  for (size_t i = 0; i < format::kWorkloadColumns; ++i) {
    const auto used = static_cast<size_t>(at_[i] - start_[i]);
    if (used != 0) memcpy(start, start_[i], used);
    start_[i] = start;
    at_[i] = start + used;
    start += kMostBytes[i] * room + kBehind;
  }
  memory_ = std::move(memory);
  room_ = room;
}

[[gnu::noinline]] void WorkloadColumns::long_number(format::WorkloadColumn column, uint64_t value) {
  for (; value >= 0x80; value >>= 7) byte(column, value | 0x80);
  byte(column, value);
}

}  // namespace tide::trace
