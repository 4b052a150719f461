// Ticks of the recording's clock as nanoseconds since it began: a line through what the collector
// saw of both clocks.
#pragma once

#include <cstdint>

#include "trace/events_file.h"

namespace tide::trace {

class TickScale {
 public:
  explicit TickScale(const EventsFile& file);

  uint64_t ns(uint64_t tick) const {
    if (tick <= first_tick_) return 0;
    // Signed numbers are what processors convert.
    const auto ticks = static_cast<double>(static_cast<int64_t>(tick - first_tick_));
    return static_cast<uint64_t>(static_cast<int64_t>(ticks * ns_per_tick_));
  }

 private:
  uint64_t first_tick_;
  double ns_per_tick_;
};

}  // namespace tide::trace
