// `tide info`: what is in a file of Tide's.

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/trace_input.h"
#include "cli/trace_view.h"
#include "cli/workload_view.h"
#include "host/error.h"
#include "host/progress.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide info out.trace\n"
    "  tide info --slice 5s..10s --json out.trace\n",
    "tide info [OPTIONS] FILE",
    "Says what is in a trace: calls, sizes, lifetimes, temporary blocks, threads, the peak and "
    "what\n"
    "was live then, what is left at the end, reallocs, calls and live bytes over time, and the "
    "call\n"
    "stacks that matter most where they were recorded.\n",
    "FILE is the folder that tide trace wrote, the folder of one process in it, an events.tide, a\n"
    "workload, or a file that tide convert imports.\n"};

TraceTables count(const TraceInput& input, size_t index, size_t most) {
  const std::unique_ptr<trace::EventSource> source = input.open(index);
  trace::Summary summary;
  host::Progress progress{host::Terminal(STDERR_FILENO)};
  progress.begin_share("reading");
  uint64_t events = 0;
  while (const trace::Event* event = source->next()) {
    summary.add(*event);
    if ((++events & 0xfffff) == 0) progress.reach(source->progress());
  }
  summary.finish(*source);
  return tables_of(*source, summary, most);
}

int run(const Arguments& arguments) {
  VerbParser parser(kInfoCommand, kHelp);
  std::string path;
  std::string slice;
  size_t most = 5;
  bool as_json = false;
  TraceInput::Options options;
  parser.add_option("FILE", path)->group("");
  parser.add_option("--process", options.process, "Only this process, by its number or its pid")
      ->type_name("N");
  parser.add_option("--slice", slice, "Only this time since the start: 5s..10s, 250ms..")
      ->type_name("T0..T1");
  add_top_option(parser, most, "Rows where only the largest are shown, 5 by default");
  parser
      .add_option("--from", options.format, "The format of FILE, where its content does not tell")
      ->type_name("FORMAT");
  parser.add_flag("--salvage", options.salvage, "Leave out what is damaged, and say so");
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (path.empty()) throw host::Error("no file given; see: tide info --help", host::kExitUsage);
  if (!slice.empty()) options.slice = trace::parse_time_range(slice);

  const InputKind kind = kind_of(path);
  if (kind == InputKind::kWorkload) {
    print(as_json ? workload_json(path) : workload_text(path));
    return host::kExitOk;
  }
  if (kind == InputKind::kCore) {
    throw host::Error(
        fmt::format("'{}' is a core or a program; a core's heap: tide heap {}", path, path));
  }
  const TraceInput input(path, options);
  std::vector<TraceTables> processes;
  for (size_t i = 0; i < input.processes(); ++i) processes.push_back(count(input, i, most));
  print(as_json ? trace_json(processes)
                : trace_text(processes, most, host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const Command kInfoCommand = {"info", "Say what is in a trace or a workload", run};

}  // namespace tide::cli
