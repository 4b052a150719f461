// Traces as sections of the page.
#pragma once

#include <string>
#include <vector>

#include "report/parts.h"
#include "report/trace_reading.h"

namespace tide::report {

// `name`: of the input, for people; `id`: for the page. The processes with the highest peaks have a
// section each, all of them a row in a table when they are several.
std::vector<Section> trace_sections(const std::string& id, const std::string& name,
                                    const std::vector<TraceReading>& processes);

// "redis-server (pid 12)", "the program".
std::string process_name(const TraceReading& process);

// Over time.
Points rss_curve(const trace::MemorySamples& memory);

}  // namespace tide::report
