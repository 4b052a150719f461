#include "report/trace_answer.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/size_labels.h"
#include "report/trace_section.h"

namespace tide::report {
namespace {

using host::byte_text;

constexpr double kManyTemporary = 0.3;
constexpr double kManyForeign = 0.1;
constexpr double kMuchOverLive = 1.3;
constexpr uint64_t kBytesWorthAWord = 1 << 20;  // bytes

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// "parse ← load", the two innermost functions that are no malloc.
std::string short_stack(const NamedStack& stack) {
  std::string text;
  for (size_t i = 0; i < stack.frames.size() && i < 2; ++i) {
    text += (i == 0 ? "" : " ← ") + stack.frames[i];
  }
  return text;
}

void say_left(const TraceReading& process, std::vector<std::string>& lines) {
  const trace::Totals& totals = process.summary.totals();
  if (totals.leaked_blocks == 0) {
    lines.push_back("Nothing is left at the end: every block was released.");
    return;
  }
  std::string line = fmt::format("{} in {} {} left at the end", byte_text(totals.leaked_bytes),
                                 counted(totals.leaked_blocks, "block"),
                                 totals.leaked_blocks == 1 ? "was" : "were");
  if (!process.leaked.empty()) {
    const NamedStack& most = process.leaked.front();
    line += fmt::format(", {} of it from {}", byte_text(most.bytes), short_stack(most));
  }
  lines.push_back(line + ".");
}

void say_rss(const TraceReading& process, std::vector<std::string>& lines) {
  const uint64_t rss = process.summary.memory().rss_max();
  const uint64_t live = process.summary.peak().bytes();
  if (rss < kBytesWorthAWord || live == 0) return;
  const double ratio = share(rss, live);
  std::string line =
      fmt::format("RSS reached {}, {:.2f} times the live bytes of the peak", byte_text(rss), ratio);
  if (ratio > kMuchOverLive && rss - live > 8 * kBytesWorthAWord) {
    line += ": try other allocators on it with tide convert and tide replay";
  }
  lines.push_back(line + ".");
}

}  // namespace

std::vector<std::string> trace_answer(const TraceReading& process) {
  const trace::Summary& summary = process.summary;
  const trace::Totals& totals = summary.totals();
  const uint64_t duration = summary.end_ns() - summary.begin_ns();
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "{} made {} in {} and had at most {} live in {}, {} after the start.", process_name(process),
      counted(totals.calls.total(), "call"), host::duration_text(duration),
      byte_text(summary.peak().bytes()), counted(summary.peak().blocks(), "block"),
      host::duration_text(summary.peak().time_ns() -
                          std::min(summary.peak().time_ns(), summary.begin_ns()))));
  if (!process.peak.empty() && summary.peak().bytes() != 0) {
    const NamedStack& most = process.peak.front();
    lines.push_back(fmt::format("The largest part of the peak, {:.0f} %, came from {}.",
                                100 * share(most.bytes, summary.peak().bytes()),
                                short_stack(most)));
  }
  say_rss(process, lines);
  say_left(process, lines);
  if (share(totals.temporary, totals.allocations) > kManyTemporary) {
    lines.push_back(fmt::format(
        "{:.0f} % of all allocations were temporary, released by their thread before it "
        "allocated again: look at “Temporary blocks” in the flame graph.",
        100 * share(totals.temporary, totals.allocations)));
  }
  if (share(totals.foreign_releases, totals.releases) > kManyForeign) {
    lines.push_back(fmt::format(
        "{:.0f} % of the releases were of another thread's blocks: allocators differ most there.",
        100 * share(totals.foreign_releases, totals.releases)));
  }
  const uint64_t copied = totals.reallocs.moved_bytes;
  if (copied > kBytesWorthAWord && share(copied, totals.allocated_bytes) > 0.1) {
    lines.push_back(fmt::format(
        "Reallocs moved {}: reserve the space beforehand where it is known.", byte_text(copied)));
  }
  if (process.flame == nullptr) {
    lines.push_back(
        "No call stacks were recorded: tide trace --stacks fp, or unwind, shows who "
        "allocates.");
  }
  return lines;
}

}  // namespace tide::report
