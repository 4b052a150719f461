// Calls and live bytes over time, in at most kMostBins steps of equal length: the step doubles as
// the time goes on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tide::trace {

class Timeline {
 public:
  static constexpr size_t kMostBins = 1024;
  static constexpr uint64_t kFirstStepNs = 10'000;
  struct Bin {
    uint64_t calls = 0;
    uint64_t most_live_bytes = 0;
    uint64_t last_live_bytes = 0;
  };

  void add(uint64_t time_ns, bool is_call, uint64_t live_bytes) {
    if (time_ns >= end_ns_) extend(time_ns);
    Bin& bin = bins_.back();
    bin.calls += is_call ? 1 : 0;
    bin.most_live_bytes = std::max(bin.most_live_bytes, live_bytes);
    bin.last_live_bytes = live_bytes;
  }

  uint64_t step_ns() const { return step_ns_; }
  uint64_t begin_ns() const { return begin_ns_; }
  const std::vector<Bin>& bins() const { return bins_; }

 private:
  void extend(uint64_t time_ns);

  std::vector<Bin> bins_;
  uint64_t step_ns_ = kFirstStepNs;
  uint64_t begin_ns_ = 0;
  uint64_t end_ns_ = 0;  // of the last bin
};

}  // namespace tide::trace
