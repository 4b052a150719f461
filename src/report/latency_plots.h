// How long calls took, of replays.
#pragma once

#include <string>
#include <vector>

#include "report/replay_file.h"

namespace tide::report {

struct RunColors {
  const ReplayRun* run;
  int color;
};

// A plot of the distributions, one for each kind of call and size, and a table of all of them.
std::vector<Json> latency_items(const std::string& id, const std::vector<RunColors>& runs);

// From a histogram of [from ns, count] to points of (1 / (1 - share of calls below), ns).
Points latency_by_rank(const Points& histogram);

}  // namespace tide::report
