// What is known of a trace, as text for people and as JSON.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "host/terminal.h"
#include "trace/event_source.h"
#include "trace/summary.h"

namespace tide::cli {

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

// The call stacks that matter most for something.
struct StackRow {
  uint32_t stack;
  uint64_t count;
  uint64_t bytes;
};
struct TopStacks {
  std::vector<StackRow> allocated, peak, temporary, leaked;
};
TopStacks top_stacks(const trace::Summary& summary, size_t most);

// The frames of a stack for people, the innermost first.
std::vector<std::string> stack_names(const trace::EventSource& source, uint32_t stack);

// "0 B", "16..31 B" for a bin of trace::Histogram.
std::string size_range(size_t bin);

}  // namespace tide::cli
