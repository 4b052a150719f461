// Sizes over time, and sizes against lifetimes, in bounded memory: columns are of equal length,
// which doubles as the time goes on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "trace/histogram.h"

namespace tide::report {

class HeatMap {
 public:
  static constexpr size_t kMostColumns = 160;
  static constexpr size_t kRows = trace::Histogram::kBins;
  struct Column {
    std::array<uint64_t, kRows> allocations{};
    std::array<uint64_t, kRows> live_bytes{};  // at its end, the most of those put together
  };

  // Before what happens at that time is counted; times ascend. `live`: until then.
  void reach(uint64_t time_ns, const trace::Histogram& live) {
    if (time_ns >= end_ns_) extend(time_ns, live);
  }
  void came(uint64_t size) { ++columns_.back().allocations[trace::Histogram::bin_of(size)]; }
  void gone(uint64_t size, uint64_t lifetime_ns) {
    ++lifetimes_[trace::Histogram::bin_of(size)][trace::Histogram::bin_of(lifetime_ns)];
  }
  // After the last event.
  void finish(const trace::Histogram& live);

  uint64_t begin_ns() const { return begin_ns_; }
  uint64_t step_ns() const { return step_ns_; }
  const std::vector<Column>& columns() const { return columns_; }
  // How many blocks of a size bin lived for a lifetime bin.
  const std::array<std::array<uint64_t, kRows>, kRows>& lifetimes() const { return lifetimes_; }

 private:
  void extend(uint64_t time_ns, const trace::Histogram& live);
  void halve();

  std::vector<Column> columns_;
  uint64_t begin_ns_ = 0;
  uint64_t step_ns_ = 10'000;
  uint64_t end_ns_ = 0;  // of the last column
  std::array<std::array<uint64_t, kRows>, kRows> lifetimes_{};
};

}  // namespace tide::report
