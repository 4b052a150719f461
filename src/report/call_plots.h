// Plots of allocation calls over time, by size and by lifetime: for traces and workloads.
#pragma once

#include <string>

#include "report/heat_map.h"
#include "report/parts.h"
#include "trace/call_counts.h"
#include "trace/timeline.h"

namespace tide::report {

Axis time_axis();
// Live bytes over time.
Points live_curve(const trace::Timeline& timeline);

// `id`: of the section; each plot adds its own name.
Json rate_plot(const std::string& id, const trace::Timeline& timeline);
Json heat_plot(const std::string& id, const HeatMap& heat_map);
Json size_by_lifetime(const std::string& id, const HeatMap& heat_map);
Json calls_table(const std::string& id, const trace::CallCounts& calls);

}  // namespace tide::report
