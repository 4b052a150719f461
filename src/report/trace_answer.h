// What a trace says, in plain sentences.
#pragma once

#include <string>
#include <vector>

#include "report/trace_reading.h"

namespace tide::report {

// What happened first, then what to look at.
std::vector<std::string> trace_answer(const TraceReading& process);

}  // namespace tide::report
