#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/replay_report.h"
#include "cli/text_charts.h"
#include "host/byte_text.h"
#include "host/text_table.h"

namespace tide::cli {

using host::Align;
using host::Style;
using host::TextTable;
using replay::AllocatorResult;
using replay::Figure;
using replay::FigureId;

namespace {

struct Column {
  std::string_view title;
  FigureId id;
  std::string (*text)(double);
};

std::string time_text(double ns) { return duration_text(static_cast<uint64_t>(ns)); }
std::string bytes_text(double bytes) { return host::byte_text(static_cast<uint64_t>(bytes)); }
std::string rate_text(double rate) { return fmt::format("{:.1f} M", rate / 1e6); }
std::string ratio_text(double ratio) { return fmt::format("{:.2f}", ratio); }
std::string count_text(double count) { return grouped(static_cast<uint64_t>(count)); }

constexpr Column kMain[] = {
    {"wall", FigureId::kWall, time_text},
    {"calls/s", FigureId::kCallsPerSecond, rate_text},
    {"CPU", FigureId::kCpu, time_text},
    {"in allocator", FigureId::kAllocator, time_text},
    {"max RSS", FigureId::kRssMax, bytes_text},
    {"RSS/live", FigureId::kRssOverLive, ratio_text},
    {"pages/live", FigureId::kPageFloorOverLive, ratio_text},
    {"max VmSize", FigureId::kVmMax, bytes_text},
    {"faults", FigureId::kMinorFaults, count_text},
};
constexpr Column kLatency[] = {
    {"p50", FigureId::kP50, time_text},
    {"p99", FigureId::kP99, time_text},
    {"p99.9", FigureId::kP999, time_text},
    {"longest", FigureId::kLongest, time_text},
};

// Half the width of what is believed, in percent of the median: " ±3%".
std::string spread_text(const Figure& figure) {
  if (figure.samples().size() < 2 || figure.median() <= 0) return {};
  const double half = (figure.high() - figure.low()) / 2 / figure.median() * 100;
  return fmt::format(" ±{:.0f}%", half);
}

double best_of(const std::vector<AllocatorResult>& runs, FigureId id) {
  const bool more = replay::kFigureNames[static_cast<size_t>(id)].more_is_better;
  double best = more ? -INFINITY : INFINITY;
  for (const AllocatorResult& run : runs) {
    if (!run.is_ok() || run.figure(id).is_empty()) continue;
    best = more ? std::max(best, run.figure(id).median()) : std::min(best, run.figure(id).median());
  }
  return best;
}

template <size_t kCount>
std::string table(const ReplayReport& report, const Column (&columns)[kCount],
                  const host::Terminal& terminal) {
  std::vector<TextTable::Column> titles = {{"allocator", Align::kLeft}};
  for (const Column& column : columns) titles.push_back({std::string(column.title), Align::kRight});
  TextTable table(titles);
  const std::vector<AllocatorResult>& runs = report.result.runs;
  for (const AllocatorResult& run : runs) {
    std::vector<TextTable::Cell> cells = {{run.allocator.label, Style::kBold}};
    for (const Column& column : columns) {
      const Figure& figure = run.figure(column.id);
      if (!run.is_ok() || figure.is_empty()) {
        cells.push_back({"-", Style::kDim});
        continue;
      }
      const bool is_best = figure.median() == best_of(runs, column.id);
      cells.push_back({column.text(figure.median()) + spread_text(figure) + (is_best ? "*" : " "),
                       is_best ? Style::kGreen : Style::kPlain});
    }
    table.add_row(std::move(cells));
  }
  return table.render(terminal);
}

std::string system_calls_text(const ReplayReport& report) {
  std::string text;
  for (const AllocatorResult& run : report.result.runs) {
    if (!run.system_calls) continue;
    std::string calls;
    for (const auto& [name, count] : *run.system_calls) {
      calls += fmt::format("{}{} {}", calls.empty() ? "" : ", ", grouped(count), name);
    }
    text += fmt::format("  {}: {}\n", run.allocator.label, calls.empty() ? "none" : calls);
  }
  return text.empty() ? text : "\nSystem calls\n" + text;
}

std::string failures_text(const ReplayReport& report, const host::Terminal& terminal) {
  std::string text;
  for (const AllocatorResult& run : report.result.runs) {
    if (run.is_ok() && run.said.empty()) continue;
    // What a failed one said is part of its status.
    const std::string line = run.is_ok() ? fmt::format("{} said: {}", run.allocator.label, run.said)
                                         : fmt::format("{} {}", run.allocator.label, run.status);
    text += terminal.styled(line, run.is_ok() ? Style::kYellow : Style::kRed) + "\n";
  }
  return text.empty() ? text : "\n" + text;
}

std::string harness_text(const ReplayReport& report) {
  const replay::HarnessCost& harness = report.result.harness;
  uint64_t most = 0;
  for (const AllocatorResult& run : report.result.runs) {
    if (run.figure(FigureId::kHarness).is_empty()) continue;
    most = std::max(most, static_cast<uint64_t>(run.figure(FigureId::kHarness).median()));
  }
  const uint64_t slots = uint64_t{report.workload.head().slots} * report.plan.settings.copies;
  return fmt::format(
      "\nThe player itself, taken off above: {} of CPU; {} of memory, {} of them for {} slots.\n",
      time_text(harness.cpu_ns.median()), host::byte_text(most),
      host::byte_text(slots * sizeof(format::ReplaySlot)), grouped(slots));
}

std::string fidelity_text(const ReplayReport& report) {
  if (!report.fidelity) return {};
  const replay::Fidelity& fidelity = *report.fidelity;
  std::string text = fmt::format(
      "\nFidelity: {}, as when it was recorded: counts {}, live bytes {} at {}", fidelity.allocator,
      fidelity.counts_equal ? "equal" : "NOT EQUAL", fidelity.live_equal ? "equal" : "NOT EQUAL",
      fidelity.curve_points == 1 ? "the end"
                                 : fmt::format("{} moments", grouped(fidelity.curve_points)));
  if (fidelity.rss_max_error) {
    text += fmt::format(", max RSS {} for {} ({:+.1f} %), RSS curve within {:.1f} % on average",
                        host::byte_text(fidelity.rss_max_replayed),
                        host::byte_text(fidelity.rss_max_recorded), 100 * *fidelity.rss_max_error,
                        100 * fidelity.rss_curve_error.value_or(0));
  }
  text += fmt::format(", {:.2f} threads at once", fidelity.parallelism_replayed);
  if (fidelity.parallelism_recorded > 0) {
    text += fmt::format(" for {:.2f}", fidelity.parallelism_recorded);
  }
  return text + "\n";
}

std::string limit_text(const ReplayReport& report) {
  const uint64_t limit = report.plan.settings.limit_bytes;
  if (limit == 0) return {};
  if (report.result.limit_by == replay::LimitBy::kGroup) {
    return fmt::format("\nLimit: {} resident for each allocator, by a control group.\n",
                       host::byte_text(limit));
  }
  const std::string& why = report.result.why_no_group;
  return fmt::format("\nLimit: {} of address space for each allocator (RLIMIT_AS){}.\n",
                     host::byte_text(limit), why.empty() ? "" : ": " + why);
}

std::string pareto_text(const ReplayReport& report) {
  if (!report.experiment) return {};
  std::string names;
  for (const size_t index : pareto_front(report.result)) {
    names += (names.empty() ? "" : ", ") + report.result.runs[index].allocator.label;
  }
  return fmt::format("\nNo other is better in both time and memory than: {}\n", names);
}

}  // namespace

std::string replay_text(const ReplayReport& report, const host::Terminal& terminal) {
  const format::WorkloadHead& head = report.workload.head();
  std::string text =
      fmt::format("{}: {} operations of {}, {} live at the peak; {}, * the best\n\n",
                  report.workload.path(), grouped(head.operations),
                  head.threads == 1 ? "1 thread" : fmt::format("{} threads", grouped(head.threads)),
                  host::byte_text(head.peak_bytes),
                  report.plan.repetitions == 1
                      ? "1 repetition"
                      : fmt::format("medians of {} repetitions", report.plan.repetitions));
  text += table(report, kMain, terminal);
  if (report.plan.measures_latency)
    text += "\nLatency of a call\n" + table(report, kLatency, terminal);
  text += system_calls_text(report);
  text += failures_text(report, terminal);
  text += limit_text(report);
  text += pareto_text(report);
  text += fidelity_text(report);
  text += harness_text(report);
  return text + "\n" + replay_sentence(report) + "\n";
}

}  // namespace tide::cli
