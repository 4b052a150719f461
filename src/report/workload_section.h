// Workloads as sections of the page.
#pragma once

#include <functional>
#include <string>

#include "replay/workload_reader.h"
#include "report/heat_map.h"
#include "report/parts.h"
#include "trace/call_counts.h"
#include "trace/timeline.h"

namespace tide::report {

struct WorkloadThreadFigures {
  uint64_t allocations = 0;
  uint64_t allocated_bytes = 0;
  uint64_t releases = 0;
  uint64_t foreign_releases = 0;  // of blocks that other threads made
  uint64_t waits = 0;
};

// From one pass over all threads' operations, in the order of time.
struct WorkloadReading {
  trace::CallCounts calls;
  trace::Histogram sizes;
  trace::Histogram lifetimes;
  trace::Timeline timeline;
  HeatMap heat;
  std::vector<WorkloadThreadFigures> threads;
};
WorkloadReading read_workload(const replay::WorkloadReader& workload,
                              const std::function<void(double)>& progress);

Section workload_section(const std::string& id, const std::string& name,
                         const replay::WorkloadReader& workload, const WorkloadReading& reading);

}  // namespace tide::report
