// How long calls took, from the histograms of all repetitions.
#pragma once

#include <cstdint>
#include <vector>

#include "replay/pass.h"

namespace tide::replay {

struct LatencyRow {
  format::LatencyKind kind;
  uint64_t low;  // sizes
  uint64_t high;
  uint64_t count;
  double p50_ns;
  double p99_ns;
  double p999_ns;
  double longest_ns;
  std::vector<std::pair<double, uint64_t>>
      histogram;  // from, calls; one ends where the next begins
};

struct Percentiles {
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double longest_ns = 0;
};

// The histograms of one pass after those of another.
void add_latencies(std::vector<LatencyBand>& all, const std::vector<LatencyBand>& more);
std::vector<LatencyRow> latency_rows(const std::vector<LatencyBand>& bands, double ns_per_tick);
// Of all calls together.
Percentiles percentiles(const std::vector<LatencyBand>& bands, double ns_per_tick);

// The latency, in ticks, that `share` of the calls do not pass: within the bucket in proportion.
double ticks_at(const LatencyBand& band, double share);

}  // namespace tide::replay
