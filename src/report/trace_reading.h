// What the page says of one process of a trace, from one pass over its events.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "report/flame_tree.h"
#include "report/heat_map.h"
#include "report/stack_course.h"
#include "trace/event_source.h"
#include "trace/summary.h"

namespace tide::report {

// What of a call stack counts; the views of a flame graph.
enum StackView : size_t { kAllocated, kAllocations, kLiveAtPeak, kTemporary, kLeaked, kStackViews };

struct NamedStack {
  std::vector<std::string> frames;  // the innermost first
  uint64_t count;
  uint64_t bytes;
};

struct TraceReading {
  trace::ProcessIdentity process;
  trace::Summary summary;
  HeatMap heat;
  std::unique_ptr<FlameTree> flame;  // null: no stacks were recorded
  std::vector<StackPicture> course;  // of nodes of `flame`
  std::vector<NamedStack> peak;      // those with most bytes then
  std::vector<NamedStack> leaked;
  std::vector<NamedStack> temporary;
};

// `progress`: told from 0 to 1 how far it is.
TraceReading read_trace(trace::EventSource& source, const std::function<void(double)>& progress);

}  // namespace tide::report
