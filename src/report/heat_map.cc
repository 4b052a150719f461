#include "report/heat_map.h"

#include <algorithm>

namespace tide::report {

void HeatMap::finish(const trace::Histogram& live) {
  if (columns_.empty()) return;
  for (size_t row = 0; row < kRows; ++row) columns_.back().live_bytes[row] = live.bins[row].sum;
}

void HeatMap::extend(uint64_t time_ns, const trace::Histogram& live) {
  if (columns_.empty()) {
    begin_ns_ = time_ns - time_ns % step_ns_;
    columns_.emplace_back();
    end_ns_ = begin_ns_ + step_ns_;
    return;
  }
  finish(live);
  while ((time_ns - begin_ns_) / step_ns_ >= kMostColumns) halve();
  Column idle;
  for (size_t row = 0; row < kRows; ++row) idle.live_bytes[row] = live.bins[row].sum;
  const size_t wanted = (time_ns - begin_ns_) / step_ns_ + 1;
  if (wanted > columns_.size()) columns_.resize(wanted, idle);
  end_ns_ = begin_ns_ + columns_.size() * step_ns_;
}

void HeatMap::halve() {
  step_ns_ *= 2;
  const size_t count = (columns_.size() + 1) / 2;
  for (size_t i = 0; i < count; ++i) {
    Column column = columns_[2 * i];
    if (2 * i + 1 < columns_.size()) {
      const Column& second = columns_[2 * i + 1];
      for (size_t row = 0; row < kRows; ++row) {
        column.allocations[row] += second.allocations[row];
        column.live_bytes[row] = std::max(column.live_bytes[row], second.live_bytes[row]);
      }
    }
    columns_[i] = column;
  }
  columns_.resize(count);
}

}  // namespace tide::report
