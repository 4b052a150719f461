// `tide compare`: from a program to the answer which allocator suits it. Each step is a run of this
// same command, so what one step needed is gone before the next, and none measures another's
// memory.

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/replay_options.h"
#include "host/error.h"
#include "host/program.h"
#include "trace/trace_reader.h"

extern char** environ;

namespace tide::cli {
namespace {

namespace fs = std::filesystem;

constexpr HelpText kHelp = {
    "  tide compare -- python3 job.py\n"
    "  tide compare --with glibc,tide,jemalloc --reps 5 -o job -- ./server --port 7000\n",
    "tide compare [OPTIONS] [--] PROG [ARGS...]",
    "Records every allocation call of PROG, replays them on every allocator that is found, and "
    "says\n"
    "in one sentence at the end which one suits PROG best. A page with all the plots is written "
    "too.\n",
    "In DIR are afterwards: trace (see 'tide info'), workload.tidew, replay.json, report.html.\n"
    "When PROG starts others, the one that made most calls is replayed; --process chooses.\n"
    "A server is recorded until it ends: the first Ctrl-C is its own.\n"
    "\n"
    "Exit status: 0, or\n"
    "  1    a step failed; it has said why\n"
    "  2    the command line is wrong\n"
    "  125 to 127  as 'tide trace': PROG could not be recorded\n"};

constexpr char kSelf[] = "/proc/self/exe";

struct Options {
  std::string folder;
  std::string allocators;
  std::string process;
  std::string stacks = "none";
  std::string speed;
  std::string touch;
  uint32_t repetitions = 3;
  bool is_quiet = false;
  bool as_json = false;
};

// Terminal signals are for the step that runs; what it makes of them comes back as its status.
class SignalsIgnored {
 public:
  SignalsIgnored() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGINT, &ignore, &interrupt_);
    sigaction(SIGQUIT, &ignore, &quit_);
  }
  ~SignalsIgnored() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGQUIT, &quit_, nullptr);
  }
  SignalsIgnored(const SignalsIgnored&) = delete;
  SignalsIgnored& operator=(const SignalsIgnored&) = delete;

 private:
  struct sigaction interrupt_ {};
  struct sigaction quit_ {};
};

// Runs this command with `words`; its exit status, 128 + N for a signal. Output goes where ours
// does.
int run_step(const std::vector<std::string>& words) {
  std::vector<char*> arguments{const_cast<char*>("tide")};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGQUIT);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const SignalsIgnored ignored;
  pid_t pid = -1;
  const int fault = posix_spawn(&pid, kSelf, nullptr, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (fault != 0) {
    throw host::Error(fmt::format("cannot start 'tide {}': {}", words[0], std::strerror(fault)));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void require(int status, std::string_view step) {
  if (status == host::kExitOk) return;
  throw host::Error(fmt::format("'tide {}' failed with status {}", step, status));
}

std::string new_folder(const Options& options, const std::string& program) {
  const std::string folder =
      !options.folder.empty()
          ? options.folder
          : fmt::format("tide-compare-{}-{}", fs::path(program).filename().string(), getpid());
  std::error_code error;
  if (fs::exists(folder, error)) {
    throw host::Error(fmt::format("'{}' exists already; remove it or choose another by -o", folder),
                      host::kExitUsage);
  }
  fs::create_directories(folder, error);
  if (error) {
    throw host::Error(fmt::format("cannot make the folder '{}': {}", folder, error.message()));
  }
  return folder;
}

// The number of the process whose trace is largest.
std::string busiest_process(const std::string& trace) {
  uint32_t busiest = 0;
  uintmax_t most = 0;
  for (const trace::TraceProcess& process : trace::find_processes(trace)) {
    std::error_code error;
    const uintmax_t bytes = fs::file_size(process.events_path, error);
    if (error || bytes <= most) continue;
    most = bytes;
    busiest = process.identity.number;
  }
  return fmt::format("{}", busiest);
}

// The status to end with; 0: go on.
int record(const Options& options, const std::string& trace, const Arguments& program) {
  std::vector<std::string> words = {"trace", "-o", trace, "--stacks", options.stacks};
  if (options.is_quiet || options.as_json) words.emplace_back("--quiet");
  words.emplace_back("--");
  words.insert(words.end(), program.begin(), program.end());
  const int status = run_step(words);
  std::error_code error;
  // Without a trace the step has said why; with one the status is the program's own.
  if (!fs::is_directory(trace, error) || trace::find_processes(trace).empty()) {
    fs::remove_all(trace, error);
    return status == 0 ? host::kExitFailed : status;
  }
  if (status != 0) {
    fmt::print(stderr, "tide compare: '{}' ended with status {}; what it did until then counts\n",
               program.front(), status);
  }
  return 0;
}

std::vector<std::string> replay_words(const Options& options, const std::string& workload,
                                      const std::string& result) {
  std::vector<std::string> words = {
      "replay", workload, "--reps", fmt::format("{}", options.repetitions), "-o", result};
  const std::pair<const char*, const std::string&> passed[] = {
      {"--with", options.allocators}, {"--speed", options.speed}, {"--touch", options.touch}};
  for (const auto& [option, value] : passed) {
    if (value.empty()) continue;
    words.emplace_back(option);
    words.push_back(value);
  }
  if (options.as_json) words.emplace_back("--json");
  return words;
}

// Before the program runs, perhaps for hours: what the replay would say of its options.
void check_replay(const std::vector<std::string>& words) {
  VerbParser parser(kReplayCommand, {});
  ReplayOptions options;
  options.add_to(parser);
  parser.accept({words.begin() + 1, words.end()});
  options.plan();
}

std::string sentence_of(const std::string& result) {
  std::ifstream file(result);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) throw host::Error(fmt::format("'{}' holds no JSON object", result));
  return json.value("sentence", "");
}

int run(const Arguments& arguments) {
  VerbParser parser(kCompareCommand, kHelp);
  Options options;
  parser
      .add_option("-o,--output", options.folder,
                  "Folder for all that is written; default tide-compare-PROG-PID")
      ->type_name("DIR");
  parser.add_option("--with", options.allocators, "Allocators, as 'tide replay' takes them")
      ->type_name("NAME[=PATH],...");
  parser.add_option("--reps", options.repetitions, "Repetitions of each replay, 3 by default")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  parser.add_option("--process", options.process, "Replay this process, by its number or its pid")
      ->type_name("N");
  parser.add_option("--stacks", options.stacks, "Record call stacks, for the page's flame graph")
      ->type_name("none|fp|unwind")
      ->check(CLI::IsMember({"none", "fp", "unwind"}));
  parser.add_option("--speed", options.speed, "As of 'tide replay'")->type_name("max|recorded");
  parser.add_option("--touch", options.touch, "As of 'tide replay'")
      ->type_name("recorded|page|all");
  parser.add_flag("-q,--quiet", options.is_quiet, "Only the tables and the answer");
  parser.add_flag("--json", options.as_json, "Print what 'tide replay --json' does, and only that");
  const SplitArguments split = split_at_program(parser, arguments);
  if (!parser.accept(split.own)) return host::kExitOk;
  if (split.program.empty()) {
    throw host::Error("no program given; see: tide compare --help", host::kExitUsage);
  }
  host::find_program(split.program.front());

  check_replay(replay_words(options, "workload.tidew", "replay.json"));

  const std::string folder = new_folder(options, split.program.front());
  const std::string trace = folder + "/trace";
  const std::string workload = folder + "/workload.tidew";
  const std::string result = folder + "/replay.json";
  const std::string page = folder + "/report.html";
  if (const int status = record(options, trace, split.program); status != 0) {
    std::error_code error;
    fs::remove(folder, error);  // only if nothing is in it
    return status;
  }
  const std::string process = options.process.empty() ? busiest_process(trace) : options.process;
  require(run_step({"convert", trace, "-o", workload, "--to", "workload", "--process", process}),
          "convert");
  require(run_step(replay_words(options, workload, result)), "replay");
  require(run_step({"report", result, trace, "-o", page}), "report");
  if (options.as_json) return host::kExitOk;
  print(fmt::format("\nThe page: {}\n{}\n", page, sentence_of(result)));
  return host::kExitOk;
}

}  // namespace

const Command kCompareCommand = {"compare", "Find the allocator that suits a program best", run};

}  // namespace tide::cli
