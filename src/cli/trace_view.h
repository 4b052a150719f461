// What is known of a trace, as text for people and as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "host/terminal.h"
#include "trace/event_source.h"
#include "trace/histogram.h"
#include "trace/memory_samples.h"
#include "trace/summary.h"
#include "trace/timeline.h"

namespace tide::cli {

// What there is to say of a process of a trace, whoever has counted it: trace::Summary, or a
// database that has the events.
struct TraceTables {
  struct Peak {
    uint64_t bytes = 0;
    uint64_t blocks = 0;
    uint64_t time_ns = 0;
    trace::Histogram sizes;
  };
  struct Timeline {
    uint64_t begin_ns = 0;
    uint64_t step_ns = 0;
    std::vector<trace::Timeline::Bin> bins;
  };
  struct Stack {
    uint64_t count = 0;
    uint64_t bytes = 0;
    std::vector<std::string> names;  // the innermost first
  };

  trace::ProcessIdentity process;
  trace::Totals totals;
  Peak peak;
  Timeline timeline;
  std::map<uint32_t, trace::ThreadFigures> threads;
  trace::MemorySamples memory;
  std::vector<trace::Marker> markers;
  std::string allocator;
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
  std::vector<Stack> allocated, at_peak, temporary, leaked;  // those that matter most
};

// `most` call stacks for each question.
TraceTables tables_of(const trace::EventSource& source, const trace::Summary& summary, size_t most);

// `most` rows where only the largest are shown.
std::string trace_text(const std::vector<TraceTables>& processes, size_t most,
                       const host::Terminal& terminal);
// One line; its keys stand in docs/command-line.md.
std::string trace_json(const std::vector<TraceTables>& processes);

// "0 B", "16..31 B" for a bin of trace::Histogram.
std::string size_range(size_t bin);

}  // namespace tide::cli
