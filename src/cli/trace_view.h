// What is known of a trace, as text for people and as JSON.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "host/terminal.h"
#include "trace/event_source.h"
#include "trace/summary.h"
#include "trace/top_stacks.h"

namespace tide::cli {

using trace::stack_names;
using trace::StackRow;
using trace::top_stacks;
using trace::TopStacks;

// A process, counted to its end.
struct TraceFigures {
  std::unique_ptr<trace::EventSource> source;
  trace::Summary summary;
};

// `most` rows where only the largest are shown.
std::string trace_text(const std::vector<TraceFigures>& processes, size_t most,
                       const host::Terminal& terminal);
// One line; its keys stand in docs/command-line.md.
std::string trace_json(const std::vector<TraceFigures>& processes, size_t most);

// "0 B", "16..31 B" for a bin of trace::Histogram.
std::string size_range(size_t bin);

}  // namespace tide::cli
