// `tide fleet trace`: what `tide info` says of a trace, counted by the database that has it.

#include <fmt/format.h>
#include <unistd.h>

#include "cli/fleet_trace_tables.h"
#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "host/error.h"
#include "host/number_text.h"
#include "host/progress.h"
#include "host/terminal.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using host::Align;
using Json = nlohmann::ordered_json;

constexpr HelpText kFleetTraceHelp = {
    "  tide fleet trace\n"
    "  tide fleet trace job.trace --db clickhouse://tide@127.0.0.1:8123/heaps\n",
    "tide fleet trace [OPTIONS] [TRACE]",
    "Says of a trace in the database what tide info says of a trace in a folder: the same text,\n"
    "the same JSON, the same numbers. TRACE is its number or its name; without it: which traces\n"
    "there are. 'tide fleet import' and 'tide trace --to' put traces there.\n",
    ""};

std::string list_text(const std::vector<StoredTrace>& traces) {
  if (traces.empty()) return "no traces; tide fleet import puts them here\n";
  host::TextTable table({{"TRACE", Align::kRight},
                         {"SENT (UTC)"},
                         {"HOST"},
                         {"PROCESSES", Align::kRight},
                         {"EVENTS", Align::kRight},
                         {"NAME"}});
  for (const StoredTrace& trace : traces) {
    table.add_row({{fmt::format("{}", trace.trace)},
                   {moment_text(trace.time_ns)},
                   {host::printable(trace.host)},
                   {fmt::format("{}", trace.processes)},
                   {host::grouped(static_cast<uint64_t>(trace.events))},
                   {host::printable(trace.name)}});
  }
  return table.render(host::Terminal(STDOUT_FILENO));
}

Json list_json(const std::vector<StoredTrace>& traces) {
  Json json = fleet_json("traces", nullptr);
  json["rows"] = Json::array();
  for (const StoredTrace& trace : traces) {
    json["rows"].push_back({{"trace", trace.trace},
                            {"name", trace.name},
                            {"host", trace.host},
                            {"processes", trace.processes},
                            {"events", trace.events},
                            {"start_ns", trace.start_ns},
                            {"time_ns", trace.time_ns}});
  }
  return json;
}

// By number, else the newest of that name.
const StoredTrace& find(const std::vector<StoredTrace>& traces, const std::string& wanted) {
  for (const StoredTrace& trace : traces) {
    if (std::to_string(trace.trace) == wanted) return trace;
  }
  for (const StoredTrace& trace : traces) {
    if (trace.name == wanted) return trace;
  }
  throw host::Error(
      fmt::format("the database has no whole trace '{}'; which it has: tide fleet trace", wanted));
}

int run_fleet_trace(const Arguments& arguments) {
  VerbParser parser(kFleetTraceCommand, kFleetTraceHelp);
  FleetOptions database;
  std::string wanted;
  size_t most = 5;
  bool as_json = false;
  parser.add_option("TRACE", wanted)->group("");
  add_top_option(parser, most, "Rows where only the largest are shown, 5 by default");
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  const auto store = open_fleet(database);
  const std::vector<StoredTrace> traces = stored_traces(*store);
  if (wanted.empty()) {
    print(as_json ? json_line(list_json(traces)) : list_text(traces));
    return host::kExitOk;
  }
  const StoredTrace& trace = find(traces, wanted);
  host::Progress progress{host::Terminal(STDERR_FILENO)};
  progress.begin_share("counting");
  std::vector<TraceTables> processes;
  for (const int64_t number : trace_processes(*store, trace.trace)) {
    progress.reach(static_cast<double>(processes.size()) / static_cast<double>(trace.processes));
    processes.push_back(stored_tables(*store, trace.trace, number, most));
  }
  progress.finish();
  print(as_json ? trace_json(processes)
                : trace_text(processes, most, host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const Command kFleetTraceCommand = {"fleet trace", "What is in a trace, counted by the database",
                                    run_fleet_trace};

}  // namespace tide::cli
