// The samples of a program's memory that stand in its events, in bounded number: when there are
// twice kMost every second one is left out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "format/memory_sample.h"
#include "trace/event.h"

namespace tide::trace {

// Leaves at most `most` samples: of as many neighbours as it takes the one with the most of
// `rss(sample)`.
template <class Sample, class Rss>
void thin(std::vector<Sample>& samples, size_t most, Rss rss) {
  const size_t group = (samples.size() + most - 1) / most;
  if (group < 2) return;
  size_t count = 0;
  for (size_t first = 0; first < samples.size(); first += group) {
    size_t highest = first;
    for (size_t i = first; i < std::min(first + group, samples.size()); ++i) {
      if (rss(samples[i]) > rss(samples[highest])) highest = i;
    }
    samples[count++] = samples[highest];
  }
  samples.resize(count);
}

class MemorySamples {
 public:
  static constexpr size_t kMost = 16'384;
  struct Sample : format::MemorySample {
    uint64_t time_ns = 0;
  };

  // Events other than Note::kMemory are passed over.
  void add(const Event& event);

  // In the order of time.
  const std::vector<Sample>& all() const { return samples_; }
  bool empty() const { return samples_.empty(); }
  uint64_t rss_max() const { return rss_max_; }
  // CPU time that was taken between the first sample and the last, and how long that was.
  uint64_t cpu_ns() const;
  uint64_t span_ns() const;
  // How many threads ran at once, on average; 0: not known.
  double parallelism() const {
    return span_ns() == 0 ? 0 : static_cast<double>(cpu_ns()) / static_cast<double>(span_ns());
  }

 private:
  std::vector<Sample> samples_;
  uint64_t first_ns_ = 0;
  uint64_t first_cpu_ns_ = 0;
  Sample last_;
  uint64_t rss_max_ = 0;
};

// The text of a note of it.
std::string sample_text(const format::MemorySample& sample);

}  // namespace tide::trace
