// The figures of a trace as text.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/text_charts.h"
#include "cli/trace_view.h"
#include "format/trace_call.h"
#include "format/trace_record.h"
#include "host/byte_text.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using host::byte_text;
using host::Style;
using host::Terminal;
using trace::Call;
using trace::Histogram;

constexpr size_t kChartWidth = 60;
constexpr size_t kFramesShown = 6;

std::string percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? "-"
                    : fmt::format("{:.1f} %",
                                  100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string blocks_text(uint64_t count) {
  return fmt::format("{} block{}", grouped(count), count == 1 ? "" : "s");
}

std::string line(std::string_view name, const std::string& text) {
  return fmt::format("  {:<18} {}\n", name, text);
}

std::string calls_text(const trace::Totals& totals) {
  struct Row {
    Call call;
    uint64_t count;
  };
  std::vector<Row> rows;
  for (size_t i = 1; i < format::kCallCount; ++i) {
    const auto call = static_cast<Call>(i);
    if (totals.calls[call] != 0) rows.push_back({call, totals.calls[call]});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.count > b.count; });
  std::vector<Bar> bars;
  for (const Row& row : rows) {
    bars.push_back({std::string(format::call_name(row.call)), grouped(row.count), row.count});
  }
  return "\nCalls\n" + bar_chart(bars);
}

std::string sizes_text(std::string_view title, const Histogram& sizes) {
  std::vector<Bar> bars;
  size_t first = 0;
  size_t last = Histogram::kBins;
  while (first < last && sizes.bins[first].count == 0) ++first;
  while (last > first && sizes.bins[last - 1].count == 0) --last;
  for (size_t bin = first; bin < last; ++bin) {
    const Histogram::Bin& here = sizes.bins[bin];
    bars.push_back({size_range(bin),
                    fmt::format("{:>13} {:>11}", grouped(here.count), byte_text(here.sum)),
                    here.count});
  }
  return bars.empty() ? std::string() : fmt::format("\n{}\n{}", title, bar_chart(bars));
}

// By powers of ten: what people read.
std::string lifetimes_text(const Histogram& lifetimes) {
  constexpr const char* kNames[] = {"below 1 us", "1-10 us", "10-100 us", "0.1-1 ms", "1-10 ms",
                                    "10-100 ms",  "0.1-1 s", "1-10 s",    "10-100 s", "longer"};
  constexpr size_t kCount = std::size(kNames);
  uint64_t counts[kCount] = {};
  for (size_t bin = 0; bin < Histogram::kBins; ++bin) {
    const auto from = static_cast<double>(Histogram::from(bin));
    // The middle of the bin says where it belongs.
    const double decade = from < 700 ? 0 : std::floor(std::log10(from * 1.4)) - 2;
    counts[std::min(static_cast<size_t>(decade), kCount - 1)] += lifetimes.bins[bin].count;
  }
  std::vector<Bar> bars;
  size_t last = kCount;
  while (last > 0 && counts[last - 1] == 0) --last;
  for (size_t i = 0; i < last; ++i) bars.push_back({kNames[i], grouped(counts[i]), counts[i]});
  return bars.empty() ? std::string() : "\nLifetimes of blocks\n" + bar_chart(bars);
}

// The most RSS in each column of the timeline; where nobody looked, what it was before.
std::vector<uint64_t> rss_columns(const trace::MemorySamples& memory, uint64_t begin_ns,
                                  uint64_t column_ns, size_t count) {
  std::vector<uint64_t> columns(count, 0);
  uint64_t last = 0;
  size_t filled = 0;
  for (const trace::MemorySamples::Sample& sample : memory.all()) {
    const uint64_t since = sample.time_ns > begin_ns ? sample.time_ns - begin_ns : 0;
    const size_t column = std::min<size_t>(since / column_ns, count - 1);
    for (; filled < column; ++filled) columns[filled] = std::max(columns[filled], last);
    columns[column] = std::max(columns[column], sample.rss);
    last = sample.rss;
  }
  for (; filled < count; ++filled) columns[filled] = std::max(columns[filled], last);
  return columns;
}

std::string timeline_text(const TraceTables::Timeline& timeline,
                          const trace::MemorySamples& memory) {
  if (timeline.bins.size() < 2) return {};
  std::vector<uint64_t> calls;
  std::vector<uint64_t> live;
  const size_t per_column = (timeline.bins.size() + kChartWidth - 1) / kChartWidth;
  for (size_t i = 0; i < timeline.bins.size(); i += per_column) {
    uint64_t sum = 0;
    uint64_t most = 0;
    for (size_t k = i; k < std::min(i + per_column, timeline.bins.size()); ++k) {
      sum += timeline.bins[k].calls;
      most = std::max(most, timeline.bins[k].most_live_bytes);
    }
    calls.push_back(sum);
    live.push_back(most);
  }
  const double seconds =
      static_cast<double>(timeline.step_ns) * static_cast<double>(per_column) / 1e9;
  const double rate = static_cast<double>(*std::max_element(calls.begin(), calls.end())) / seconds;
  std::string text = "\nOver time\n";
  text += fmt::format("  {:<12} {}  at most {} a second\n", "calls", sparkline(calls),
                      grouped(static_cast<uint64_t>(rate)));
  text += fmt::format("  {:<12} {}  at most {}\n", "live bytes", sparkline(live),
                      byte_text(*std::max_element(live.begin(), live.end())));
  if (!memory.empty()) {
    text += fmt::format("  {:<12} {}  at most {}\n", "RSS",
                        sparkline(rss_columns(memory, timeline.begin_ns,
                                              timeline.step_ns * per_column, live.size())),
                        byte_text(memory.rss_max()));
  }
  return text + fmt::format("  {:<12} {}{:>{}}\n", "", "0",
                            duration_text(timeline.step_ns * timeline.bins.size()),
                            calls.size() - 1);
}

std::string threads_text(const TraceTables& tables, size_t most, const Terminal& terminal) {
  if (tables.threads.size() < 2) return {};
  using Row = std::pair<uint32_t, const trace::ThreadFigures*>;
  std::vector<Row> rows;
  for (const auto& [number, figures] : tables.threads) rows.push_back({number, &figures});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.second->calls > b.second->calls; });
  host::TextTable table({{"  THREAD", host::Align::kRight},
                         {"TID", host::Align::kRight},
                         {"CALLS", host::Align::kRight},
                         {"SHARE", host::Align::kRight},
                         {"ALLOCATED", host::Align::kRight},
                         {"FREES", host::Align::kRight},
                         {"OF OTHERS' BLOCKS", host::Align::kRight},
                         {"NAME"}});
  const uint64_t calls = tables.totals.calls.total();
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) {
    const auto& [number, thread] = rows[i];
    table.add_row({{std::to_string(number)},
                   {std::to_string(thread->tid)},
                   {grouped(thread->calls)},
                   {percent(thread->calls, calls)},
                   {byte_text(thread->allocated_bytes)},
                   {grouped(thread->releases)},
                   {grouped(thread->foreign_releases)},
                   {thread->name}});
  }
  std::string text = "\n" + table.render(terminal);
  if (rows.size() > most) text += fmt::format("  and {} threads more\n", rows.size() - most);
  return text;
}

std::string stacks_text(std::string_view title, const std::vector<TraceTables::Stack>& rows,
                        bool with_bytes) {
  if (rows.empty()) return {};
  std::string text = fmt::format("\n{}\n", title);
  for (const TraceTables::Stack& row : rows) {
    const std::vector<std::string>& names = row.names;
    text += with_bytes ? fmt::format("  {} in {}\n", byte_text(row.bytes), blocks_text(row.count))
                       : fmt::format("  {}\n", blocks_text(row.count));
    for (size_t i = 0; i < std::min(kFramesShown, names.size()); ++i) {
      text += fmt::format("      {}\n", host::printable(names[i]));
    }
    if (names.size() > kFramesShown) {
      text += fmt::format("      and {} callers\n", names.size() - kFramesShown);
    }
  }
  return text;
}

// Of Tide's allocations: how far they had to go.
std::string paths_text(const trace::Totals& totals) {
  std::string text;
  for (size_t i = 0; i < format::kPathCount; ++i) {
    text +=
        fmt::format("{}{} {}", i == 0 ? "" : ", ", format::path_name(static_cast<format::Path>(i)),
                    percent(totals.paths[i], totals.allocations));
  }
  return text;
}

std::string figures_text(const trace::Totals& totals) {
  std::string text;
  text += line("allocated", fmt::format("{} in {}", byte_text(totals.allocated_bytes),
                                        blocks_text(totals.allocations)));
  if (totals.initial_blocks != 0) {
    text += line("live at the start", fmt::format("{} in {}", byte_text(totals.initial_bytes),
                                                  blocks_text(totals.initial_blocks)));
  }
  if (totals.failed_allocations != 0) {
    text += line("failed", grouped(totals.failed_allocations) + " allocations");
  }
  text += line("temporary",
               fmt::format("{} of the releases: by the same thread, nothing allocated in between",
                           percent(totals.temporary, totals.releases - totals.null_releases)));
  text += line("by other threads",
               fmt::format("{} of the releases", percent(totals.foreign_releases,
                                                         totals.releases - totals.null_releases)));
  if (trace::knows_paths(totals)) text += line("path taken", paths_text(totals));
  const trace::ReallocFigures& reallocs = totals.reallocs;
  if (reallocs.moved + reallocs.in_place != 0) {
    text += line("reallocs",
                 fmt::format("{} grew, {} shrank; {} moved with {}; one block {} times",
                             grouped(reallocs.grown), grouped(reallocs.shrunk),
                             percent(reallocs.moved, reallocs.moved + reallocs.in_place),
                             byte_text(reallocs.moved_bytes), grouped(reallocs.longest_chain)));
  }
  if (totals.null_releases != 0) {
    text += line("free(NULL)", grouped(totals.null_releases) + " calls");
  }
  if (totals.mapped_bytes != 0) {
    text += line("mmap", fmt::format("{} mapped, {} unmapped", byte_text(totals.mapped_bytes),
                                     byte_text(totals.unmapped_bytes)));
  }
  const trace::Oddities& odd = totals.oddities;
  if (odd.unknown_releases != 0) {
    text +=
        line("unknown blocks", fmt::format("{} releases of blocks that came before the recording"
                                           " began, or were not recorded",
                                           grouped(odd.unknown_releases)));
  }
  if (odd.missed_releases != 0) {
    text += line("missed releases", fmt::format("{} blocks whose address was given out again",
                                                grouped(odd.missed_releases)));
  }
  return text;
}

std::string warnings(const trace::Totals& totals, const Terminal& terminal) {
  std::string text;
  if (totals.lost_events != 0) {
    text += "  " +
            terminal.styled(
                fmt::format("LOST: {} events were not recorded ({} of all); what "
                            "follows is short of them",
                            grouped(totals.lost_events),
                            percent(totals.lost_events, totals.lost_events + totals.events)),
                Style::kRed) +
            "\n";
  }
  if (totals.oddities.damaged_chunks != 0) {
    text += "  " +
            terminal.styled(fmt::format("DAMAGED: {} pieces of the file were left out",
                                        grouped(totals.oddities.damaged_chunks)),
                            Style::kRed) +
            "\n";
  }
  return text;
}

std::string process_text(const TraceTables& tables, size_t most, const Terminal& terminal) {
  const trace::Totals& totals = tables.totals;
  const trace::ProcessIdentity& process = tables.process;
  std::string text =
      terminal.styled(fmt::format("Process {}: {}", process.number,
                                  host::printable(process.program.empty() ? "?" : process.program)),
                      Style::kBold);
  if (process.pid != 0) text += fmt::format(" ({})", process.pid);
  text += fmt::format(", {}, {} events", duration_text(tables.end_ns - tables.begin_ns),
                      grouped(totals.events));
  if (!process.ended.empty()) text += ", " + host::printable(process.ended);
  text += "\n" + warnings(totals, terminal);
  if (!tables.allocator.empty()) {
    text += line("allocator", host::printable(tables.allocator));
  }
  text += figures_text(totals);
  const TraceTables::Peak& peak = tables.peak;
  text += line("peak",
               fmt::format("{} in {}, after {}", byte_text(peak.bytes), blocks_text(peak.blocks),
                           duration_text(peak.time_ns - tables.begin_ns)));
  text += line("live at the end", fmt::format("{} in {}", byte_text(totals.leaked_bytes),
                                              blocks_text(totals.leaked_blocks)));
  if (const trace::MemorySamples& memory = tables.memory; !memory.empty()) {
    std::string rss = byte_text(memory.rss_max());
    if (peak.bytes != 0) {
      rss += fmt::format(", {:.2f} times the peak",
                         static_cast<double>(memory.rss_max()) / static_cast<double>(peak.bytes));
    }
    if (memory.span_ns() != 0) {
      rss += fmt::format("; {:.2f} threads ran at once", memory.parallelism());
    }
    text += line("max RSS", rss);
  }
  text += timeline_text(tables.timeline, tables.memory);
  text += calls_text(totals);
  text += sizes_text("Sizes of allocations", totals.sizes);
  text += lifetimes_text(totals.lifetimes);
  text += sizes_text("Live at the peak, by size", peak.sizes);
  text += threads_text(tables, most, terminal);
  text += stacks_text("Most allocated", tables.allocated, true);
  text += stacks_text("Most live at the peak", tables.at_peak, true);
  text += stacks_text("Most temporary blocks", tables.temporary, false);
  text += stacks_text("Most live at the end", tables.leaked, true);
  if (!tables.markers.empty()) {
    text += "\nMarkers\n";
    for (size_t i = 0; i < std::min(most, tables.markers.size()); ++i) {
      const trace::Marker& marker = tables.markers[i];
      text += fmt::format("  {:>10}  {}\n", duration_text(marker.time_ns - tables.begin_ns),
                          host::printable(marker.text));
    }
  }
  return text;
}

}  // namespace

std::string trace_text(const std::vector<TraceTables>& processes, size_t most,
                       const Terminal& terminal) {
  std::string text;
  if (processes.size() > 1) {
    trace::Totals totals;
    for (const TraceTables& process : processes) totals.add(process.totals);
    text += terminal.styled(fmt::format("{} processes", processes.size()), Style::kBold) +
            fmt::format(", {} events\n", grouped(totals.events)) + warnings(totals, terminal) +
            figures_text(totals) + calls_text(totals) + "\n";
  }
  for (size_t i = 0; i < processes.size(); ++i) {
    text += (i == 0 ? "" : "\n") + process_text(processes[i], most, terminal);
  }
  return text;
}

}  // namespace tide::cli
