#include "cli/fleet_trace_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "fleet/memory_questions.h"
#include "format/trace_record.h"
#include "trace/event.h"

namespace tide::cli {
namespace {

using fleet::Result;
using fleet::TableId;
using trace::Histogram;

// A process of a trace, with all that is asked about it.
class Question {
 public:
  Question(fleet::Store& store, int64_t trace, int64_t process)
      : store_(store), where_(fmt::format("trace = {} AND process = {}", trace, process)) {}

  // `what` of the table's rows for which `condition` holds, too; `rest` follows behind.
  Result ask(TableId table, std::string_view what, std::string_view condition,
             std::string_view rest) const {
    const std::string all =
        condition.empty() ? where_ : fmt::format("{} AND ({})", where_, condition);
    return store_.query(
        fmt::format("SELECT {} FROM {} {}", what, store_.dialect().from(table, all), rest));
  }
  Result events(std::string_view what, std::string_view condition, std::string_view rest) const {
    return ask(TableId::kTraceEvents, what, condition, rest);
  }
  fleet::Store& store() const { return store_; }

 private:
  fleet::Store& store_;
  const std::string where_;
};

uint64_t at(const Result& result, size_t row, size_t column) {
  return static_cast<uint64_t>(result.number(row, column));
}

void read_process(const Question& question, TraceTables& tables) {
  const Result row = question.ask(
      TableId::kTraceProcesses,
      "process, pid, parent, program, ended, allocator, begin_ns, end_ns, lost_events, "
      "unknown_releases, missed_releases, reordered_events, damaged_chunks",
      "", "");
  if (row.rows.empty()) return;
  tables.process.number = static_cast<uint32_t>(row.number(0, 0));
  tables.process.pid = row.number(0, 1);
  tables.process.parent = row.number(0, 2);
  tables.process.program = row.text(0, 3);
  tables.process.ended = row.text(0, 4);
  tables.allocator = row.text(0, 5);
  tables.begin_ns = at(row, 0, 6);
  tables.end_ns = at(row, 0, 7);
  tables.totals.lost_events = at(row, 0, 8);
  tables.totals.oddities = {at(row, 0, 9), at(row, 0, 10), at(row, 0, 11), at(row, 0, 12)};
}

void read_totals(const Question& question, trace::Totals& totals) {
  const std::string mapped =
      fmt::format("call = {} AND pointer <> 0", static_cast<int>(format::Call::kMmap));
  const std::string unmapped = fmt::format("call = {}", static_cast<int>(format::Call::kMunmap));
  const Result row = question.events(
      fmt::format(
          "sum(is_own), sum(came = 1), sum(size * (came = 1)), sum(kind = 2), sum(failed), "
          "sum(is_null), sum(is_temporary), sum(is_foreign), sum(came = 2), "
          "sum(size * (came = 2)), sum(size * ({})), sum(size * ({})), "
          "sum(came <> 0), sum(gone), sum(size * (came <> 0)), sum(gone_size), "
          "sum(resized = 2), sum(resized = 1), "
          "sum(CASE WHEN resized <> 2 THEN 0 WHEN size < gone_size THEN size ELSE "
          "gone_size END), "
          "sum(resized <> 0 AND size >= gone_size), sum(resized <> 0 AND size < gone_size), "
          "sum(kind = 3 AND failed = 1), max(chain), sum(path = 0), sum(path = 1), "
          "sum(path = 2), sum(path = 3)",
          mapped, unmapped),
      "", "");
  totals.events = at(row, 0, 0);
  totals.allocations = at(row, 0, 1);
  totals.allocated_bytes = at(row, 0, 2);
  totals.releases = at(row, 0, 3);
  totals.failed_allocations = at(row, 0, 4);
  totals.null_releases = at(row, 0, 5);
  totals.temporary = at(row, 0, 6);
  totals.foreign_releases = at(row, 0, 7);
  totals.initial_blocks = at(row, 0, 8);
  totals.initial_bytes = at(row, 0, 9);
  totals.mapped_bytes = at(row, 0, 10);
  totals.unmapped_bytes = at(row, 0, 11);
  totals.leaked_blocks = at(row, 0, 12) - at(row, 0, 13);
  totals.leaked_bytes = at(row, 0, 14) - at(row, 0, 15);
  totals.reallocs = {at(row, 0, 16), at(row, 0, 17), at(row, 0, 18), at(row, 0, 19),
                     at(row, 0, 20), at(row, 0, 21), at(row, 0, 22)};
  constexpr size_t kFirstPath = 23;
  static_assert(format::kPathCount == 4);
  for (size_t i = 0; i < format::kPathCount; ++i) totals.paths[i] = at(row, 0, kFirstPath + i);
}

void read_calls(const Question& question, trace::Totals& totals) {
  const Result rows = question.events("call, count(*)", "call <> 0", "GROUP BY call");
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    totals.calls.add(static_cast<trace::Call>(rows.number(i, 0)), at(rows, i, 1));
  }
}

// Adds counts and sums by bin, or takes them away.
void read_bins(const Question& question, std::string_view bin, std::string_view sum,
               const std::string& condition, bool is_taken_away, Histogram& histogram) {
  const Result rows = question.events(fmt::format("{}, count(*), sum({})", bin, sum), condition,
                                      fmt::format("GROUP BY {}", bin));
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const uint64_t count = at(rows, i, 1);
    const uint64_t value = at(rows, i, 2);
    histogram.change(at(rows, i, 0), is_taken_away ? 0 - count : count,
                     is_taken_away ? 0 - value : value);
  }
}

// Returns the condition for events up to the peak.
std::string read_peak(const Question& question, TraceTables::Peak& peak) {
  const Result highest = question.events("max(live_bytes)", "came <> 0", "");
  peak.bytes = at(highest, 0, 0);
  if (peak.bytes == 0) return "event <= 0";
  const Result first = question.events(
      "min(event), min(at_ns)", fmt::format("came <> 0 AND live_bytes = {}", peak.bytes), "");
  peak.time_ns = at(first, 0, 1);
  const std::string until = fmt::format("event <= {}", first.number(0, 0));
  const Result blocks = question.events("sum(came <> 0) - sum(gone)", until, "");
  peak.blocks = at(blocks, 0, 0);
  read_bins(question, "size_bin", "size", "came <> 0 AND " + until, false, peak.sizes);
  read_bins(question, "gone_bin", "gone_size", "gone <> 0 AND " + until, true, peak.sizes);
  return until;
}

// As trace::Timeline has it: steps of 10 us, doubled until they are few.
void read_timeline(const Question& question, const TraceTables& tables,
                   TraceTables::Timeline& timeline) {
  timeline.step_ns = trace::Timeline::kFirstStepNs;
  timeline.begin_ns = tables.begin_ns - tables.begin_ns % timeline.step_ns;
  const uint64_t span = tables.end_ns - timeline.begin_ns;
  while (span / timeline.step_ns >= trace::Timeline::kMostBins) timeline.step_ns *= 2;
  const std::string step = question.store().dialect().quotient(
      fmt::format("at_ns - {}", timeline.begin_ns), std::to_string(timeline.step_ns));
  const Result rows =
      question.events(fmt::format("{} AS step, sum(call <> 0), max(live_bytes), max(event)", step),
                      "", fmt::format("GROUP BY {} ORDER BY step", step));
  if (rows.rows.empty()) return;
  std::string last;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    last += fmt::format("{}{}", i == 0 ? "" : ",", rows.number(i, 3));
  }
  // What was live after the last event of each step.
  const Result lives =
      question.events("event, live_bytes", fmt::format("event IN ({})", last), "ORDER BY event");
  timeline.bins.resize(span / timeline.step_ns + 1);
  size_t row = 0;
  uint64_t live = 0;
  for (size_t i = 0; i < timeline.bins.size(); ++i) {
    trace::Timeline::Bin& bin = timeline.bins[i];
    bin = {0, live, live};
    if (row == rows.rows.size() || at(rows, row, 0) != i) continue;
    bin.calls = at(rows, row, 1);
    bin.most_live_bytes = std::max(live, at(rows, row, 2));
    live = at(lives, row, 1);
    bin.last_live_bytes = live;
    ++row;
  }
}

void read_threads(const Question& question, std::map<uint32_t, trace::ThreadFigures>& threads) {
  const Result names = question.ask(TableId::kTraceThreads, "thread, tid, name", "", "");
  for (size_t i = 0; i < names.rows.size(); ++i) {
    trace::ThreadFigures& figures = threads[static_cast<uint32_t>(names.number(i, 0))];
    figures.tid = names.number(i, 1);
    figures.name = names.text(i, 2);
  }
  const Result rows = question.events(
      "thread, sum(call <> 0), sum(came = 1), sum(size * (came = 1)), sum(kind = 2), "
      "sum(is_foreign)",
      "", "GROUP BY thread");
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    trace::ThreadFigures& figures = threads[static_cast<uint32_t>(rows.number(i, 0))];
    figures.calls = at(rows, i, 1);
    figures.allocations = at(rows, i, 2);
    figures.allocated_bytes = at(rows, i, 3);
    figures.releases = at(rows, i, 4);
    figures.foreign_releases = at(rows, i, 5);
  }
  std::erase_if(threads, [](const auto& thread) {
    return thread.second.calls == 0 && thread.second.name.empty();
  });
}

void read_memory(const Question& question, TraceTables& tables) {
  const Result samples = question.ask(TableId::kTraceMemory, "at_ns, rss_bytes, vm_bytes, sample",
                                      "", "ORDER BY number");
  for (size_t i = 0; i < samples.rows.size(); ++i) {
    trace::Event event{};
    event.call = trace::Call::kNote;
    event.extras[0] = static_cast<uint64_t>(format::Note::kMemory);
    event.time_ns = at(samples, i, 0);
    event.extras[1] = at(samples, i, 1);
    event.extras[2] = at(samples, i, 2);
    event.text = samples.text(i, 3);
    tables.memory.add(event);
  }
  const Result markers =
      question.ask(TableId::kTraceMarkers, "at_ns, marker", "", "ORDER BY number");
  for (size_t i = 0; i < markers.rows.size(); ++i) {
    tables.markers.push_back({at(markers, i, 0), markers.text(i, 1)});
  }
}

struct Sum {
  uint64_t count = 0;
  uint64_t bytes = 0;
};
using StackSums = std::map<int64_t, Sum>;

void add_sums(const Question& question, std::string_view stack, std::string_view bytes,
              const std::string& condition, bool is_taken_away, StackSums& sums) {
  const Result rows = question.events(fmt::format("{}, count(*), sum({})", stack, bytes),
                                      fmt::format("{} <> 0 AND ({})", stack, condition),
                                      fmt::format("GROUP BY {}", stack));
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    Sum& sum = sums[rows.number(i, 0)];
    sum.count += is_taken_away ? 0 - at(rows, i, 1) : at(rows, i, 1);
    sum.bytes += is_taken_away ? 0 - at(rows, i, 2) : at(rows, i, 2);
  }
}

// Those with most bytes, then counts: as trace::top_stacks.
std::vector<TraceTables::Stack> largest(const Question& question, const StackSums& sums,
                                        size_t most) {
  std::vector<std::pair<int64_t, Sum>> rows(sums.begin(), sums.end());
  std::erase_if(rows, [](const auto& row) { return row.second.count == 0; });
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.bytes != b.second.bytes ? a.second.bytes > b.second.bytes
                                            : a.second.count > b.second.count;
  });
  rows.resize(std::min(rows.size(), most));
  std::vector<TraceTables::Stack> found;
  if (rows.empty()) return found;
  std::string numbers;
  for (const auto& [number, sum] : rows) {
    numbers += fmt::format("{}{}", numbers.empty() ? "" : ",", number);
  }
  const Result names = question.ask(TableId::kTraceStacks, "number, stack",
                                    fmt::format("number IN ({})", numbers), "");
  std::map<int64_t, int64_t> stacks;
  for (size_t i = 0; i < names.rows.size(); ++i) stacks[names.number(i, 0)] = names.number(i, 1);
  std::vector<int64_t> wanted;
  for (const auto& [number, sum] : rows) wanted.push_back(stacks[number]);
  std::vector<std::vector<std::string>> functions =
      fleet::stack_functions(question.store(), wanted);
  for (size_t i = 0; i < rows.size(); ++i) {
    found.push_back({rows[i].second.count, rows[i].second.bytes, std::move(functions[i])});
  }
  return found;
}

void read_stacks(const Question& question, const std::string& until_peak, size_t most,
                 TraceTables& tables) {
  StackSums allocated, at_peak, temporary, leaked;
  add_sums(question, "stack", "size", "came = 1", false, allocated);
  if (allocated.empty() && tables.totals.initial_blocks == 0) return;
  add_sums(question, "stack", "size", "came <> 0 AND " + until_peak, false, at_peak);
  add_sums(question, "gone_stack", "gone_size", "gone <> 0 AND " + until_peak, true, at_peak);
  add_sums(question, "gone_stack", "0", "is_temporary = 1", false, temporary);
  add_sums(question, "stack", "size", "came <> 0", false, leaked);
  add_sums(question, "gone_stack", "gone_size", "gone <> 0", true, leaked);
  tables.allocated = largest(question, allocated, most);
  tables.at_peak = largest(question, at_peak, most);
  tables.temporary = largest(question, temporary, most);
  tables.leaked = largest(question, leaked, most);
}

}  // namespace

std::vector<StoredTrace> stored_traces(fleet::Store& store) {
  const Result rows = store.query(fmt::format(
      "SELECT trace, name, host, processes, events, start_ns, time_ns FROM {} ORDER BY time_ns "
      "DESC, trace",
      store.dialect().from(TableId::kTraces, "1 = 1")));
  std::vector<StoredTrace> traces;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    traces.push_back({rows.number(i, 0), rows.text(i, 1), rows.text(i, 2), rows.number(i, 3),
                      rows.number(i, 4), rows.number(i, 5), rows.number(i, 6)});
  }
  return traces;
}

std::vector<int64_t> trace_processes(fleet::Store& store, int64_t trace) {
  const Result rows = store.query(fmt::format(
      "SELECT process FROM {} ORDER BY process",
      store.dialect().from(TableId::kTraceProcesses, fmt::format("trace = {}", trace))));
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < rows.rows.size(); ++i) numbers.push_back(rows.number(i, 0));
  return numbers;
}

TraceTables stored_tables(fleet::Store& store, int64_t trace, int64_t process, size_t most) {
  const Question question(store, trace, process);
  TraceTables tables;
  read_process(question, tables);
  read_totals(question, tables.totals);
  read_calls(question, tables.totals);
  read_bins(question, "size_bin", "size", "came = 1", false, tables.totals.sizes);
  read_bins(question, "lifetime_bin", "0", "lifetime_bin >= 0", false, tables.totals.lifetimes);
  const std::string until_peak = read_peak(question, tables.peak);
  read_timeline(question, tables, tables.timeline);
  read_threads(question, tables.threads);
  read_memory(question, tables);
  read_stacks(question, until_peak, most, tables);
  return tables;
}

}  // namespace tide::cli
