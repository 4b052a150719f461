#include "cli/trace_view.h"

#include <fmt/format.h>

#include "host/byte_text.h"
#include "trace/top_stacks.h"

namespace tide::cli {
namespace {

std::vector<TraceTables::Stack> named(const trace::EventSource& source,
                                      const std::vector<trace::StackRow>& rows) {
  std::vector<TraceTables::Stack> stacks;
  for (const trace::StackRow& row : rows) {
    stacks.push_back({row.count, row.bytes, trace::stack_names(source, row.stack)});
  }
  return stacks;
}

}  // namespace

TraceTables tables_of(const trace::EventSource& source, const trace::Summary& summary,
                      size_t most) {
  const trace::Peak& peak = summary.peak();
  const trace::Timeline& timeline = summary.timeline();
  const trace::TopStacks top = trace::top_stacks(summary, most);
  return {source.process(),
          summary.totals(),
          {peak.bytes(), peak.blocks(), peak.time_ns(), peak.peak_sizes()},
          {timeline.begin_ns(), timeline.step_ns(), timeline.bins()},
          summary.threads(),
          summary.memory(),
          summary.markers(),
          summary.allocator(),
          summary.begin_ns(),
          summary.end_ns(),
          named(source, top.allocated),
          named(source, top.peak),
          named(source, top.temporary),
          named(source, top.leaked)};
}

std::string size_range(size_t bin) {
  if (bin == 0) return "0 B";
  const uint64_t from = trace::Histogram::from(bin);
  if (from < 1024) return from == 1 ? "1 B" : fmt::format("{}-{} B", from, 2 * from - 1);
  return host::short_byte_text(from) + "-" + host::short_byte_text(2 * from);
}

}  // namespace tide::cli
