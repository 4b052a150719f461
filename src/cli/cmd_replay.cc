// `tide replay`: a workload again, on each of a list of allocators.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/heap_json.h"
#include "cli/replay_baseline.h"
#include "cli/replay_ledger.h"
#include "cli/replay_options.h"
#include "cli/replay_report.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/progress.h"
#include "host/terminal.h"
#include "replay/replay.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide replay job.tidew\n"
    "  tide replay job.tidew --with glibc,tide,mine=./libmine.so --reps 10\n"
    "  tide replay job.tidew --with tide --sweep purge_delay=8ms,1s,10s\n",
    "tide replay [OPTIONS] WORKLOAD",
    "Does the calls of a recorded program again, with its threads and in its order, on each\n"
    "allocator of a list, and shows their time, latencies and memory side by side. Each allocator\n"
    "gets a process of its own for each repetition; what the replayer costs is measured and taken\n"
    "off. Workloads are made by tide convert.\n",
    "An allocator is NAME, NAME=PATH of a library, and may have options behind it, each after a\n"
    "colon: glibc:arena_max=1, tide:purge_delay=8ms, jemalloc:dirty_decay_ms=0, or a variable of\n"
    "the environment in capitals: mine=./libmine.so:MINE_DEBUG=1. Known names: tide, glibc,\n"
    "jemalloc, mimalloc, tcmalloc, tbbmalloc, scudo. Without --with: all that are installed.\n"
    "An allocator that crashes, hangs or has no memory is a result, and the others go on.\n"};

// As a shell takes it.
std::string command_line(const Arguments& arguments) {
  constexpr std::string_view kSpecial = " \t\n'\"\\$&|<>;()*?[]#~!{}`";
  std::string line = "tide replay";
  for (const std::string& argument : arguments) {
    const bool is_plain =
        !argument.empty() && argument.find_first_of(kSpecial) == std::string::npos;
    line += is_plain ? " " + argument : fmt::format(" '{}'", argument);
  }
  return line;
}

int run(const Arguments& arguments) {
  VerbParser parser(kReplayCommand, kHelp);
  ReplayOptions options;
  options.add_to(parser);
  if (!parser.accept(arguments)) return host::kExitOk;
  const replay::Plan plan = options.plan();
  std::optional<Baseline> baseline;
  if (!options.baseline.empty()) baseline.emplace(options.baseline, options.conditions);

  if (std::filesystem::is_directory(options.workload)) {
    throw host::Error(
        fmt::format("'{0}' is a folder; make a workload of a trace by: tide convert "
                    "{0} -o NAME.tidew",
                    options.workload));
  }
  const replay::WorkloadReader workload(options.workload);
  for (const std::string& path : {options.output, options.ledger}) {
    if (!path.empty()) host::require_writable(path);
  }
  host::Progress progress{host::Terminal(STDERR_FILENO)};
  progress.begin_share("reading");
  const auto operations = static_cast<double>(workload.head().operations);
  const replay::Survey survey = replay::survey(
      workload, [&](uint64_t done) { progress.reach(static_cast<double>(done) / operations); });
  std::string part;
  const replay::ReplayResult result =
      replay::replay(workload, survey, plan, [&](const std::string& what, double share) {
        if (what != part) progress.begin_share(part = what);
        progress.reach(share);
      });
  progress.finish();

  const ReplayReport report{workload,
                            survey,
                            plan,
                            result,
                            command_line(arguments),
                            date_text(),
                            options.experiment(),
                            replay::fidelity(workload, survey, plan, result)};
  const std::string json = json_line(replay_json(report));
  if (!options.output.empty()) {
    host::OutputFile file(options.output);
    file.write(json);
    file.close();
  }
  if (!options.ledger.empty()) append_to_ledger(options.ledger, report);
  print(options.wants_json ? json : replay_text(report, host::Terminal(STDOUT_FILENO)));
  if (!baseline) return host::kExitOk;
  const Baseline::Outcome outcome = baseline->compare(result);
  if (options.wants_json) {
    fmt::print(stderr, "{}", outcome.text);
  } else {
    print(outcome.text);
  }
  return outcome.fails ? host::kExitFailed : host::kExitOk;
}

}  // namespace

const Command kReplayCommand = {"replay", "Do a workload again on a list of allocators", run};

}  // namespace tide::cli
