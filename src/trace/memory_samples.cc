#include "trace/memory_samples.h"

#include <fmt/format.h>

namespace tide::trace {
void MemorySamples::add(const Event& event) {
  if (!is_note(event, format::Note::kMemory)) return;
  Sample sample;
  sample.time_ns = event.time_ns;
  if (!format::read_sample(event.extras[1], event.extras[2], event.text, &sample)) return;
  if (samples_.empty()) {
    first_ns_ = sample.time_ns;
    first_cpu_ns_ = sample.cpu_ns;
  }
  rss_max_ = std::max({rss_max_, sample.rss, sample.peak_rss});
  last_ = sample;
  samples_.push_back(sample);
  if (samples_.size() >= 2 * kMost) {
    thin(samples_, kMost, [](const Sample& one) { return one.rss; });
  }
}

uint64_t MemorySamples::cpu_ns() const {
  return last_.cpu_ns > first_cpu_ns_ ? last_.cpu_ns - first_cpu_ns_ : 0;
}

uint64_t MemorySamples::span_ns() const {
  return last_.time_ns > first_ns_ ? last_.time_ns - first_ns_ : 0;
}

std::string sample_text(const format::MemorySample& sample) {
  return fmt::format("{} {} {}", sample.anonymous, sample.peak_rss, sample.cpu_ns);
}

}  // namespace tide::trace
