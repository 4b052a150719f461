// How much a replay on the allocator that the program itself had is like the program.
#pragma once

#include <optional>
#include <string>

#include "replay/replay.h"

namespace tide::replay {

struct Fidelity {
  std::string allocator;  // the label of the run
  bool counts_equal = false;
  // Blocks and bytes at the end, bytes at `curve_points` moments until then.
  bool live_equal = false;
  uint64_t curve_points = 0;
  // What the program had beside its heap at the first sample (and of files at each) is added to the
  // replay's. Nothing: its memory was not recorded.
  std::optional<double> rss_max_error;    // of the program's most, with sign
  std::optional<double> rss_curve_error;  // mean of the differences, of the mean
  uint64_t rss_max_recorded = 0;
  uint64_t rss_max_replayed = 0;
  double parallelism_recorded = 0;  // 0: not known
  double parallelism_replayed = 0;
};

// Nothing: no run was on that allocator, or none came to the end.
std::optional<Fidelity> fidelity(const WorkloadReader& workload, const Survey& survey,
                                 const Plan& plan, const ReplayResult& result);

}  // namespace tide::replay
