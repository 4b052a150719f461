// Two inputs of one kind, side by side.
#pragma once

#include <string>

#include "report/allocator_colors.h"
#include "report/flame_tree.h"
#include "report/parts.h"
#include "report/replay_file.h"
#include "report/trace_reading.h"

namespace tide::report {

// What of an input is compared.
struct Compared {
  std::string name;
  const FlameTree* flame;  // null: there is none
};

Section trace_difference(const std::string& before_name, const TraceReading& before,
                         const std::string& after_name, const TraceReading& after);
Section profile_difference(const Compared& before, const Compared& after);
// Of the runs that have one label in both.
Section replay_difference(const std::string& before_name, const ReplayFile& before,
                          const std::string& after_name, const ReplayFile& after);

}  // namespace tide::report
