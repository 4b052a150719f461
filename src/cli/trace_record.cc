// `tide trace -- PROG`: starts the program with the recorder in it and collects until it has ended.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "cli/command.h"
#include "cli/trace_options.h"
#include "cli/trace_session.h"
#include "cli/traced_program.h"
#include "host/error.h"
#include "host/preload.h"
#include "host/program.h"
#include "replay/allocators.h"

namespace tide::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kRecorder = "libtide-trace.so";

// LD_PRELOAD: the recorder in front, then what was asked for, then what is there already.
host::PreloadLibrary set_preloads(const TraceOptions& options, host::Environment& environment) {
  std::string recorder = options.library;
  if (recorder.empty()) recorder = host::find_own_library(kRecorder);
  std::vector<std::string> libraries = {recorder};
  libraries.insert(libraries.end(), options.preloads.begin(), options.preloads.end());
  if (!options.allocator.empty()) {
    const replay::Allocator allocator = replay::parse_allocator(options.allocator);
    if (!allocator.library.empty()) libraries.push_back(allocator.library);
    for (const auto& [name, value] : allocator.variables) environment.set(name, value);
  }
  std::string list = environment.get("LD_PRELOAD").value_or("");
  for (auto at = libraries.rbegin(); at != libraries.rend(); ++at) {
    list = host::preload_list(host::open_preload_library(*at).path, list);
  }
  environment.set("LD_PRELOAD", list);
  return host::open_preload_library(recorder);
}

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&set, signal);
  }
  return set;
}

class Recording {
 public:
  Recording(const TraceOptions& options, const std::vector<std::string>& program);
  int run();

 private:
  void start();
  void wait();
  void handle(const siginfo_t& signal);
  int conclude();

  const TraceOptions& options_;
  const std::vector<std::string>& program_;
  std::string path_;
  std::string why_not_;  // nothing can be recorded of the program
  std::unique_ptr<trace::ArenaOwner> arena_;
  TraceSession session_;
  std::unique_ptr<TracedProgram> child_;
  bool is_child_over_ = false;
  bool must_leave_ = false;
  int wait_status_ = 0;
  int interrupts_ = 0;
};

Recording::Recording(const TraceOptions& options, const std::vector<std::string>& program)
    : options_(options), program_(program), session_(options) {}

void Recording::start() {
  host::Environment environment;
  path_ = host::find_program(program_.front());
  const host::PreloadLibrary recorder = set_preloads(options_, environment);
  try {
    host::require_preloadable(path_, recorder);
  } catch (const host::Error& error) {
    // What it starts may be recorded nevertheless.
    why_not_ = error.what();
  }
  arena_ = std::make_unique<trace::ArenaOwner>(options_.arena);
  environment.set(format::kArenaVariable, arena_->address());

  // No thread but one that waits for them gets these.
  const sigset_t watched = watched_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &watched, &before);
  child_ = std::make_unique<TracedProgram>(path_, program_, environment, before);
  // A file that may not become longer is an error like any other.
  std::signal(SIGXFSZ, SIG_IGN);

  session_.open(*arena_,
                fmt::format("tide-trace-{}-{}", fs::path(program_.front()).filename().string(),
                            child_->pid()),
                program_);
  session_.collector().started(child_->pid());
  session_.start();
  child_->release();
}

void Recording::handle(const siginfo_t& signal) {
  if (signal.si_signo == SIGCHLD) {
    if (!is_child_over_ && child_->has_ended(&wait_status_)) {
      is_child_over_ = true;
      session_.collector().ended(wait_status_);
    }
    return;
  }
  const bool is_from_terminal = signal.si_code == SI_KERNEL;
  if (is_child_over_) {
    // Of what the program has left behind.
    session_.collector().stop("interrupted");
    return;
  }
  if (!is_from_terminal) kill(child_->pid(), signal.si_signo);
  if (signal.si_signo == SIGINT && ++interrupts_ >= 2) {
    must_leave_ = true;
    session_.collector().stop("interrupted");
  }
}

void Recording::wait() {
  const sigset_t watched = watched_signals();
  const auto start = Clock::now();
  bool is_timed = options_.seconds.has_value();
  bool has_told = false;
  while (!session_.is_collected() || !(is_child_over_ || must_leave_)) {
    double patience = 1;
    const double passed = std::chrono::duration<double>(Clock::now() - start).count();
    if (is_timed && passed >= *options_.seconds) {
      is_timed = false;
      session_.collector().stop(fmt::format("after {:g} s", *options_.seconds));
    }
    if (is_timed) patience = std::min(patience, *options_.seconds - passed);
    const timespec time{static_cast<time_t>(patience),
                        static_cast<long>((patience - std::floor(patience)) * 1e9)};
    siginfo_t signal;
    if (sigtimedwait(&watched, &signal, &time) > 0) {
      handle(signal);
      continue;
    }
    if (is_child_over_ && session_.collector().figures().live != 0 && !has_told &&
        !options_.is_quiet) {
      session_.say("waits for processes that the program has left running; Ctrl-C ends the trace");
      has_told = true;
    }
    session_.show_progress();
  }
}

// What `programs` were that are not in the trace.
std::string unrecorded_sentence(const std::vector<std::string>& programs) {
  constexpr size_t kMost = 3;
  const size_t shown = std::min(programs.size(), kMost);
  std::string names = fmt::format("{}", fmt::join(std::span(programs).first(shown), ", "));
  if (shown < programs.size()) names += fmt::format(" and {} more", programs.size() - shown);
  return fmt::format(
      "not recorded: {}: started without LD_PRELOAD, which has the recorder, or linked statically, "
      "or allocates nothing",
      names);
}

int Recording::conclude() {
  const trace::CollectorFigures all = session_.collector().figures();
  int status = host::kExitRunFailed;
  if (is_child_over_) {
    status = WIFSIGNALED(wait_status_) ? 128 + WTERMSIG(wait_status_) : WEXITSTATUS(wait_status_);
  } else if (must_leave_) {
    status = 128 + SIGINT;
  }
  session_.report(status);
  if (all.processes == 0) {
    session_.say(fmt::format("nothing was recorded: {}",
                             why_not_.empty()
                                 ? "the program called none of the functions that are recorded"
                                 : why_not_));
  }
  if (!all.unrecorded.empty() && !options_.is_quiet) {
    session_.say(unrecorded_sentence(all.unrecorded));
  }
  const bool is_worth_nothing = all.processes == 0 || all.has_failed;
  return status == 0 && is_worth_nothing ? host::kExitFailed : status;
}

int Recording::run() {
  try {
    start();
  } catch (const host::Error& error) {
    session_.abandon(error.what());
    // Not to be taken for the program's own.
    const int status = error.exit_status();
    throw host::Error(error.what(), status == host::kExitFailed ? host::kExitRunFailed : status);
  }
  wait();
  session_.join();
  return conclude();
}

}  // namespace

int record_program(const TraceOptions& options, const std::vector<std::string>& program) {
  return Recording(options, program).run();
}

}  // namespace tide::cli
