#include "report/trace_reading.h"

#include <algorithm>

#include "trace/stack_table.h"
#include "trace/symbol_table.h"
#include "trace/top_stacks.h"

namespace tide::report {
namespace {

constexpr size_t kMostStacks = 20;

void count(const trace::Event& event, StackCourse& course, TraceReading& reading) {
  course.reach(event.time_ns, reading.summary.peak());
  reading.heat.reach(event.time_ns, reading.summary.peak().live_sizes());
  if (trace::came(event)) reading.heat.came(event.size);
  if (event.gone.is_known && event.call != trace::Call::kReallocDone &&
      format::releases(event.call)) {
    const trace::GoneBlock& block = event.gone;
    reading.heat.gone(block.size, event.time_ns - std::min(event.time_ns, block.time_ns));
  }
  reading.summary.add(event);
}

// Nodes of the flame graph for nodes of the table of stacks, whose callers have smaller numbers.
class Names {
 public:
  Names(const trace::EventSource& source, FlameTree& tree)
      : source_(source), tree_(tree), nodes_(source.stacks().size(), kUnknown) {}

  uint32_t node(uint32_t stack) {
    const trace::StackTable& stacks = source_.stacks();
    chain_.clear();
    while (stack != 0 && nodes_[stack] == kUnknown) {
      chain_.push_back(stack);
      stack = stacks.caller(stack);
    }
    uint32_t node = stack == 0 ? FlameTree::kRoot : nodes_[stack];
    for (auto at = chain_.rbegin(); at != chain_.rend(); ++at) {
      const std::vector<std::string> names = source_.symbols().names(stacks.frame(*at), false);
      for (auto name = names.rbegin(); name != names.rend(); ++name) {
        node = tree_.child(node, tree_.name(*name));
      }
      nodes_[*at] = node;
    }
    return node;
  }

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  const trace::EventSource& source_;
  FlameTree& tree_;
  std::vector<uint32_t> nodes_;
  std::vector<uint32_t> chain_;
};

void read_stacks(const trace::EventSource& source, const StackCourse& course,
                 TraceReading& reading) {
  if (source.stacks().size() < 2) return;
  const trace::Summary& summary = reading.summary;
  auto tree = std::make_unique<FlameTree>(std::vector<FlameView>{{"Allocated bytes", "bytes"},
                                                                 {"Allocations", "count"},
                                                                 {"Live at the peak", "bytes"},
                                                                 {"Temporary blocks", "count"},
                                                                 {"Left at the end", "bytes"}});
  Names names(source, *tree);
  const auto& stacks = summary.stacks();
  const auto add = [&](uint32_t stack, StackView view, uint64_t value) {
    if (value != 0) tree->add(names.node(stack), view, static_cast<double>(value));
  };
  for (uint32_t stack = 1; stack < stacks.size(); ++stack) {
    add(stack, kAllocated, stacks[stack].allocated_bytes);
    add(stack, kAllocations, stacks[stack].allocations);
    add(stack, kTemporary, stacks[stack].temporary);
  }
  const auto peak = summary.peak().peak_stacks();
  for (uint32_t stack = 1; stack < peak.size(); ++stack) add(stack, kLiveAtPeak, peak[stack].sum);
  const auto& left = summary.peak().live_stacks();
  for (uint32_t stack = 1; stack < left.size(); ++stack) add(stack, kLeaked, left[stack].sum);
  tree->sum_up();
  reading.course = course.pictures();
  for (StackPicture& picture : reading.course) {
    for (auto& [stack, bytes] : picture.stacks) stack = names.node(stack);
  }
  reading.flame = std::move(tree);
}

std::vector<NamedStack> named(const trace::EventSource& source,
                              const std::vector<trace::StackRow>& rows) {
  std::vector<NamedStack> stacks;
  for (const trace::StackRow& row : rows) {
    stacks.push_back({trace::stack_names(source, row.stack), row.count, row.bytes});
  }
  return stacks;
}

}  // namespace

TraceReading read_trace(trace::EventSource& source, const std::function<void(double)>& progress) {
  TraceReading reading;
  StackCourse course;
  uint64_t events = 0;
  while (const trace::Event* event = source.next()) {
    count(*event, course, reading);
    if ((++events & 0xfffff) == 0) progress(source.progress());
  }
  reading.summary.finish(source);
  reading.heat.finish(reading.summary.peak().live_sizes());
  reading.process = source.process();
  course.finish(reading.summary.end_ns(), reading.summary.peak());
  read_stacks(source, course, reading);
  const trace::TopStacks top = trace::top_stacks(reading.summary, kMostStacks);
  reading.peak = named(source, top.peak);
  reading.leaked = named(source, top.leaked);
  reading.temporary = named(source, top.temporary);
  return reading;
}

}  // namespace tide::report
