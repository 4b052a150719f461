#include "replay/timeline.h"

#include <algorithm>

namespace tide::replay {

void Timeline::sample() {
  Sample sample{};
  if (!player_.read_memory(sample.rss_bytes, sample.vm_bytes)) return;
  if (sample.vm_bytes == 0) return;  // it has ended, and waits to be reaped
  const format::ReplaySession& head = session_.head();
  sample.harness_bytes = head.harness_bytes.load(std::memory_order_relaxed);
  sample.harness_vm_bytes = head.harness_vm_bytes.load(std::memory_order_relaxed);
  int64_t live = 0;
  for (uint32_t i = 0; i < session_.thread_count(); ++i) {
    const format::ReplayThread& thread = session_.thread(i);
    live += thread.live_bytes.load(std::memory_order_relaxed);
    sample.time_ns = std::max(sample.time_ns, thread.time.load(std::memory_order_relaxed));
  }
  sample.live_bytes = static_cast<uint64_t>(std::max<int64_t>(live, 0));
  most_rss_ = std::max(most_rss_, static_cast<int64_t>(sample.rss_bytes - sample.harness_bytes));
  samples_.push_back(sample);
  if (samples_.size() < kMostSamples) return;
  // Every other one goes.
  for (size_t i = 0; i < samples_.size() / 2; ++i) samples_[i] = samples_[2 * i];
  samples_.resize(samples_.size() / 2);
  interval_ns_ *= 2;
}

}  // namespace tide::replay
