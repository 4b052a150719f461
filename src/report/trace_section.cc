#include "report/trace_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "format/trace_call.h"
#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/call_plots.h"
#include "report/size_labels.h"
#include "report/stacked_plot.h"
#include "report/trace_answer.h"

namespace tide::report {
namespace {

constexpr size_t kMostSections = 4;
constexpr size_t kMostMarks = 20;

Json memory_plot(const std::string& id, const TraceReading& process) {
  const trace::MemorySamples& memory = process.summary.memory();
  std::vector<Curve> curves = {
      {"Live bytes (ideal)", 0, live_curve(process.summary.timeline()), "", false, true}};
  if (!memory.empty()) {
    curves.push_back({"RSS", 1, rss_curve(memory)});
    Points vm;
    for (const auto& sample : memory.all()) {
      vm.emplace_back(static_cast<double>(sample.time_ns), static_cast<double>(sample.vm));
    }
    curves.push_back({"VmSize", 2, std::move(vm), "", true});
  }
  const Caption caption = {
      id + "-memory", "Memory over time",
      "What the program asked for and had not released yet"
      " (live), and what the system gave it (RSS): the gap between the curves is what an allocator "
      "could save. Click a name to switch it on or off, drag the strip below to zoom."};
  Json plot = lines(caption, time_axis(), {"bytes", "bytes"}, curves, true);
  Json marks = Json::array();
  for (const trace::Marker& marker : process.summary.markers()) {
    if (marks.size() == kMostMarks) break;
    marks.push_back({{"x", marker.time_ns}, {"text", marker.text.substr(0, 40)}});
  }
  if (!marks.empty()) plot["marks"] = std::move(marks);
  return plot;
}

Json threads_table(const std::string& id, const trace::Summary& summary) {
  Json rows = Json::array();
  for (const auto& [number, thread] : summary.threads()) {
    rows.push_back({thread.name.empty() ? fmt::format("thread {}", number) : thread.name,
                    thread.tid, thread.calls, thread.allocations, thread.allocated_bytes,
                    thread.releases, thread.foreign_releases});
  }
  return table({id + "-threads", "Threads",
                "Foreign releases are of blocks that another thread allocated: allocators find "
                "these hardest."},
               {{"thread", "text"},
                {"id", "text"},
                {"calls", "count"},
                {"allocations", "count"},
                {"bytes", "bytes"},
                {"releases", "count"},
                {"foreign", "count"}},
               rows);
}

std::string joined(const std::vector<std::string>& frames) {
  std::string text;
  for (const std::string& frame : frames) text += (text.empty() ? "" : " ← ") + frame;
  return text.size() > 600 ? text.substr(0, 597) + "..." : text;
}

Json stacks_table(const Caption& caption, const std::vector<NamedStack>& stacks, bool with_bytes) {
  Json rows = Json::array();
  for (const NamedStack& stack : stacks) {
    Json row = Json::array();
    if (with_bytes) row.push_back(stack.bytes);
    row.push_back(stack.count);
    row.push_back(joined(stack.frames));
    rows.push_back(std::move(row));
  }
  std::vector<Column> columns;
  if (with_bytes) columns.push_back({"bytes", "bytes"});
  columns.push_back({"blocks", "count"});
  columns.push_back({"call stack, innermost first", "text", "", true});
  return table(caption, columns, rows);
}

void add_stacks(const TraceReading& process, Section& section) {
  const std::string& id = section.id;
  if (process.flame == nullptr) return;
  for (Json& item : stacked_items(
           id,
           "What was live, by the call stack that allocated it, layer upon layer: the upper edge "
           "is "
           "the whole. A layer that only grows is a leak, or a cache without a bound. Click a name "
           "to switch it off, drag the strip below to zoom.",
           time_axis(), process.course, *process.flame)) {
    section.items.push_back(std::move(item));
  }
  section.items.push_back(process.flame->plot(
      {id + "-flame", "Who allocates",
       "Callers on top, what they call below; the wider, the more. Click a bar to zoom into it, "
       "again to go back up; type to search."}));
  if (!process.peak.empty()) {
    section.items.push_back(stacks_table(
        {id + "-at-peak", "Call stacks with most live bytes at the peak", "Where to save memory."},
        process.peak, true));
  }
  if (!process.leaked.empty()) {
    section.items.push_back(stacks_table(
        {id + "-left", "Call stacks with most bytes left at the end",
         "Never released while it was recorded: leaks, or what the program keeps for its life."},
        process.leaked, true));
  }
  if (!process.temporary.empty()) {
    section.items.push_back(
        stacks_table({id + "-temporary", "Call stacks with most temporary blocks",
                      "Released by the same thread before it allocated again: a buffer on the "
                      "stack, or one that is kept, would do."},
                     process.temporary, false));
  }
}

void add_notes(const trace::Totals& totals, Section& section) {
  const auto say = [&](uint64_t count, std::string_view what) {
    if (count != 0) section.notes.push_back(host::grouped(count) + " " + std::string(what));
  };
  say(totals.lost_events, "events were lost when it was recorded: the figures are too small.");
  say(totals.oddities.damaged_chunks, "damaged pieces of the trace were left out.");
  say(totals.oddities.missed_releases,
      "blocks whose address was given out again without a recorded release.");
}

Section process_section(const std::string& id, const std::string& name,
                        const TraceReading& process) {
  const trace::Summary& summary = process.summary;
  const trace::Totals& totals = summary.totals();
  Section section;
  section.id = id;
  section.kind = "Trace";
  section.title = process_name(process);
  section.lead = name;
  if (!summary.allocator().empty()) section.lead += " · allocator: " + summary.allocator();
  if (!process.process.ended.empty()) section.lead += " · " + process.process.ended;
  section.fact("duration", summary.end_ns() - summary.begin_ns(), "ns");
  section.fact("peak, live", summary.peak().bytes(), "bytes");
  if (!summary.memory().empty()) section.fact("peak, RSS", summary.memory().rss_max(), "bytes");
  section.fact("calls", totals.calls.total(), "count");
  section.fact("allocations", totals.allocations, "count");
  section.fact("allocated in all", totals.allocated_bytes, "bytes");
  section.fact("left at the end", totals.leaked_bytes, "bytes");
  const auto share = [&](uint64_t count, uint64_t of) {
    return of == 0 ? Json() : Json(static_cast<double>(count) / static_cast<double>(of));
  };
  section.fact("temporary blocks", share(totals.temporary, totals.allocations), "percent");
  section.fact("freed by another thread", share(totals.foreign_releases, totals.releases),
               "percent");
  if (summary.memory().span_ns() != 0) {
    section.fact("threads at once", summary.memory().parallelism(), "number");
  }
  add_notes(totals, section);
  section.answer = trace_answer(process);
  section.items.push_back(memory_plot(id, process));
  if (!process.heat.columns().empty()) section.items.push_back(heat_plot(id, process.heat));
  add_stacks(process, section);
  Json sizes = size_bars({id + "-sizes", "Sizes", "How much was asked for at once."}, totals.sizes);
  Json lifetimes = lifetime_bars({id + "-lifetimes", "Lifetimes", "Of blocks that were released."},
                                 totals.lifetimes);
  sizes["half"] = lifetimes["half"] = true;
  section.items.push_back(std::move(sizes));
  section.items.push_back(std::move(lifetimes));
  section.items.push_back(size_by_lifetime(id, process.heat));
  section.items.push_back(rate_plot(id, summary.timeline()));
  section.items.push_back(calls_table(id, totals.calls));
  if (!summary.threads().empty()) section.items.push_back(threads_table(id, summary));
  return section;
}

// Highest peaks first.
using Order = std::vector<const TraceReading*>;

Section overview(const std::string& id, const std::string& name, const Order& processes,
                 size_t shown) {
  Section section;
  section.id = id;
  section.kind = "Trace";
  section.title = fmt::format("{}: {} processes", name, processes.size());
  section.lead = shown == 1 ? "The one with the highest peak has a section below."
                            : fmt::format(
                                  "The {} with the highest peaks have a section each "
                                  "below.",
                                  shown);
  Json rows = Json::array();
  for (const TraceReading* const process : processes) {
    const trace::Summary& summary = process->summary;
    const trace::MemorySamples& memory = summary.memory();
    rows.push_back({process_name(*process), process->process.ended,
                    summary.end_ns() - summary.begin_ns(), summary.totals().calls.total(),
                    summary.peak().bytes(), memory.empty() ? Json() : Json(memory.rss_max()),
                    summary.totals().leaked_bytes});
  }
  section.items.push_back(table(
      {id + "-processes", "Processes", "Highest peaks first; click a head to sort otherwise."},
      {{"program", "text"},
       {"end", "text"},
       {"duration", "ns"},
       {"calls", "count"},
       {"peak, live", "bytes"},
       {"peak, RSS", "bytes"},
       {"left at the end", "bytes"}},
      rows));
  return section;
}

}  // namespace

std::string process_name(const TraceReading& process) {
  const std::string& path = process.process.program;
  std::string name = path.empty() ? "program" : path.substr(path.rfind('/') + 1);
  if (process.process.pid != 0) name += fmt::format(" (pid {})", process.process.pid);
  return name;
}

Points rss_curve(const trace::MemorySamples& memory) {
  Points points;
  for (const auto& sample : memory.all()) {
    points.emplace_back(static_cast<double>(sample.time_ns), static_cast<double>(sample.rss));
  }
  return points;
}

std::vector<Section> trace_sections(const std::string& id, const std::string& name,
                                    const std::vector<TraceReading>& processes) {
  std::vector<Section> sections;
  Order order;
  for (const TraceReading& process : processes) order.push_back(&process);
  std::stable_sort(order.begin(), order.end(), [](const TraceReading* a, const TraceReading* b) {
    return a->summary.peak().bytes() > b->summary.peak().bytes();
  });
  // The shells around a program say nothing of it.
  const uint64_t least = order.front()->summary.peak().bytes() / 100;
  const auto small = std::find_if(order.begin() + 1, order.end(), [&](const TraceReading* process) {
    return process->summary.peak().bytes() < least;
  });
  const size_t shown = std::min(static_cast<size_t>(small - order.begin()), kMostSections);
  if (processes.size() > 1) sections.push_back(overview(id, name, order, shown));
  order.resize(shown);
  for (const TraceReading* process : order) {
    const std::string own =
        processes.size() == 1 ? id : fmt::format("{}-{}", id, process->process.number);
    sections.push_back(process_section(own, name, *process));
    if (process != order.front()) sections.back().answer.clear();
  }
  return sections;
}

}  // namespace tide::report
