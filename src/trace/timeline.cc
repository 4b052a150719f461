#include "trace/timeline.h"

namespace tide::trace {

// Times only grow, so the last bin is the one that is added to.
void Timeline::extend(uint64_t time_ns) {
  if (bins_.empty()) {
    begin_ns_ = time_ns - time_ns % kFirstStepNs;
  }
  while ((time_ns - begin_ns_) / step_ns_ >= kMostBins) {
    step_ns_ *= 2;
    const size_t count = (bins_.size() + 1) / 2;
    for (size_t i = 0; i < count; ++i) {
      Bin bin = bins_[2 * i];
      if (2 * i + 1 < bins_.size()) {
        const Bin& second = bins_[2 * i + 1];
        bin.calls += second.calls;
        bin.most_live_bytes = std::max(bin.most_live_bytes, second.most_live_bytes);
        bin.last_live_bytes = second.last_live_bytes;
      }
      bins_[i] = bin;
    }
    bins_.resize(count);
  }
  const size_t last = (time_ns - begin_ns_) / step_ns_;
  const uint64_t live = bins_.empty() ? 0 : bins_.back().last_live_bytes;
  bins_.resize(std::max(bins_.size(), last + 1), {0, live, live});
  end_ns_ = begin_ns_ + bins_.size() * step_ns_;
}

}  // namespace tide::trace
