// Live bytes by call stack over time, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "trace/peak.h"

namespace tide::report {

// What was live at one moment. Small call stacks may be missing, so `total` can be more than their
// sum.
struct StackPicture {
  uint64_t time_ns = 0;
  uint64_t total = 0;
  std::vector<std::pair<uint32_t, uint64_t>> stacks;  // number and bytes
};

// Of every two the higher one stays, and the first.
void thin_pictures(std::vector<StackPicture>& pictures);

// Takes pictures while a trace is read: at first every 10 us; when there are too many, half
// of them go.
class StackCourse {
 public:
  static constexpr size_t kMostPictures = 160;
  static constexpr size_t kMostStacks = 4096;  // of a picture

  // Before what happens at that time is counted; times ascend. `live`: as it was until then.
  void reach(uint64_t time_ns, const trace::Peak& live) {
    if (time_ns >= next_ns_) take(time_ns, live);
  }
  // After the last event: with a picture of the peak as it was, and one of the end.
  void finish(uint64_t end_ns, const trace::Peak& live);

  const std::vector<StackPicture>& pictures() const { return pictures_; }

 private:
  void take(uint64_t time_ns, const trace::Peak& live);

  std::vector<StackPicture> pictures_;  // ascending in time
  uint64_t step_ns_ = 10'000;
  uint64_t next_ns_ = 0;
};

}  // namespace tide::report
