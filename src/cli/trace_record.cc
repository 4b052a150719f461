// `tide trace -- PROG`: starts the program with the recorder in it and collects until it has ended.

#include <fmt/format.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.h"
#include "cli/trace_control.h"
#include "cli/trace_options.h"
#include "cli/traced_program.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/preload.h"
#include "host/program.h"
#include "host/terminal.h"
#include "trace/collector.h"
#include "trace/network_output.h"

namespace tide::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kRecorder = "libtide-trace.so";

struct Allocator {
  std::string_view name;
  std::string_view file;
};
// As distributions call them.
constexpr std::array kAllocators = {
    Allocator{"jemalloc", "libjemalloc.so.2"}, Allocator{"mimalloc", "libmimalloc.so.2"},
    Allocator{"tcmalloc", "libtcmalloc_minimal.so.4"}, Allocator{"snmalloc", "libsnmallocshim.so"}};

std::string find_allocator(const std::string& name) {
  if (name == "tide") return host::find_own_library();
  const auto known = std::find_if(kAllocators.begin(), kAllocators.end(),
                                  [&](const Allocator& a) { return a.name == name; });
  if (known == kAllocators.end()) {
    throw host::Error(fmt::format("--with: '{}' is none of glibc, tide, jemalloc, mimalloc, "
                                  "tcmalloc, snmalloc; give another library by --preload",
                                  name),
                      host::kExitUsage);
  }
  std::error_code error;
  for (const char* const folder : {"/usr/local/lib", "/usr/lib", "/usr/lib64"}) {
    const fs::path path = fs::path(folder) / known->file;
    if (fs::exists(path, error)) return path.string();
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename().string().find("-linux-") == std::string::npos) continue;
      if (fs::exists(entry.path() / known->file, error))
        return (entry.path() / known->file).string();
    }
  }
  throw host::Error(fmt::format("--with: no {} on this machine; install it, or give its path by "
                                "--preload",
                                known->file),
                    host::kExitRunFailed);
}

// LD_PRELOAD: the recorder in front, then what was asked for, then what is there already.
host::PreloadLibrary set_preloads(const TraceOptions& options, host::Environment& environment) {
  std::string recorder = options.library;
  if (recorder.empty()) recorder = host::find_own_library(kRecorder);
  std::vector<std::string> libraries = {recorder};
  libraries.insert(libraries.end(), options.preloads.begin(), options.preloads.end());
  if (!options.allocator.empty() && options.allocator != "glibc") {
    libraries.push_back(find_allocator(options.allocator));
  }
  std::string list = environment.get("LD_PRELOAD").value_or("");
  for (auto at = libraries.rbegin(); at != libraries.rend(); ++at) {
    list = host::preload_list(host::open_preload_library(*at).path, list);
  }
  environment.set("LD_PRELOAD", list);
  return host::open_preload_library(recorder);
}

nlohmann::ordered_json describe_recording(const TraceOptions& options,
                                          const std::vector<std::string>& program) {
  utsname system{};
  uname(&system);
  constexpr std::array kStacks = {"none", "fp", "unwind"};
  return {{"tide", TIDE_VERSION},
          {"command", program},
          {"machine",
           {{"name", system.nodename},
            {"system", fmt::format("{} {}", system.sysname, system.release)},
            {"processor", system.machine},
            {"cpus", std::thread::hardware_concurrency()}}},
          {"options",
           {{"stacks", kStacks[static_cast<size_t>(options.arena.stacks)]},
            {"stack_depth", options.arena.stack_depth},
            {"buffer", options.arena.bytes},
            {"when_full", options.arena.drops_when_full ? "drop" : "wait"},
            {"usable_sizes", options.arena.has_usable_sizes},
            {"system_calls", options.arena.has_system_calls}}}};
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
  void show_progress();
  int conclude();
  void say(const std::string& line);
  void clear_line();

  const TraceOptions& options_;
  const std::vector<std::string>& program_;
  std::string path_;
  std::string place_;
  std::string why_not_;  // nothing can be recorded of the program
  host::Terminal terminal_{STDERR_FILENO};
  std::unique_ptr<trace::ArenaOwner> arena_;
  std::unique_ptr<TracedProgram> child_;
  std::unique_ptr<trace::TraceOutput> output_;
  std::unique_ptr<trace::Collector> collector_;
  std::unique_ptr<TraceControl> control_;
  std::thread thread_;
  std::atomic<bool> is_collected_{false};
  bool is_child_over_ = false;
  bool must_leave_ = false;
  int wait_status_ = 0;
  int interrupts_ = 0;
  bool has_progress_ = false;
  std::mutex line_;  // of standard error
};

Recording::Recording(const TraceOptions& options, const std::vector<std::string>& program)
    : options_(options), program_(program) {}

void Recording::say(const std::string& line) {
  const std::lock_guard lock(line_);
  clear_line();
  fmt::print(stderr, "tide trace: {}\n", host::printable(line));
}

void Recording::clear_line() {
  if (has_progress_) fmt::print(stderr, "\r\x1b[K");
  has_progress_ = false;
}

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

  const std::string name = fmt::format(
      "tide-trace-{}-{}", fs::path(program_.front()).filename().string(), child_->pid());
  if (options_.to.empty()) {
    place_ = options_.folder.empty() ? name : options_.folder;
    output_ = std::make_unique<trace::FolderOutput>(place_);
  } else {
    auto output = std::make_unique<trace::NetworkOutput>(
        options_.to, trace::read_token(options_.token_file), name);
    place_ = fmt::format("'{}' at {}", output->place(), options_.to);
    output_ = std::move(output);
  }
  collector_ = std::make_unique<trace::Collector>(
      *arena_, *output_,
      trace::CollectorSettings{options_.most_bytes, describe_recording(options_, program_),
                               [this](const std::string& line) { say(line); }});
  if (options_.to.empty()) control_ = std::make_unique<TraceControl>(place_, *collector_);
  collector_->started(child_->pid());
  thread_ = std::thread([this] {
    collector_->run();
    is_collected_ = true;
    kill(getpid(), SIGCHLD);
  });
  child_->release();
}

void Recording::handle(const siginfo_t& signal) {
  if (signal.si_signo == SIGCHLD) {
    if (!is_child_over_ && child_->has_ended(&wait_status_)) {
      is_child_over_ = true;
      collector_->ended(wait_status_);
    }
    return;
  }
  const bool is_from_terminal = signal.si_code == SI_KERNEL;
  if (is_child_over_) {
    // Of what the program has left behind.
    collector_->stop("interrupted");
    return;
  }
  if (!is_from_terminal) kill(child_->pid(), signal.si_signo);
  if (signal.si_signo == SIGINT && ++interrupts_ >= 2) {
    must_leave_ = true;
    collector_->stop("interrupted");
  }
}

void Recording::show_progress() {
  const trace::CollectorFigures now = collector_->figures();
  const std::lock_guard lock(line_);
  has_progress_ = true;
  fmt::print(stderr, "\r\x1b[K{} events, {} process{}, {}{}", now.events, now.processes,
             now.processes == 1 ? "" : "es", host::byte_text(now.bytes),
             now.lost == 0 ? "" : fmt::format(", {} lost", now.lost));
  std::fflush(stderr);
}

void Recording::wait() {
  const sigset_t watched = watched_signals();
  const bool with_progress = terminal_.is_terminal() && !options_.is_quiet;
  const auto start = Clock::now();
  bool is_timed = options_.seconds.has_value();
  bool has_told = false;
  while (!is_collected_ || !(is_child_over_ || must_leave_)) {
    double patience = 1;
    const double passed = std::chrono::duration<double>(Clock::now() - start).count();
    if (is_timed && passed >= *options_.seconds) {
      is_timed = false;
      collector_->stop(fmt::format("after {:g} s", *options_.seconds));
    }
    if (is_timed) patience = std::min(patience, *options_.seconds - passed);
    const timespec time{static_cast<time_t>(patience),
                        static_cast<long>((patience - std::floor(patience)) * 1e9)};
    siginfo_t signal;
    if (sigtimedwait(&watched, &signal, &time) > 0) {
      handle(signal);
      continue;
    }
    if (is_child_over_ && collector_->figures().live != 0 && !has_told && !options_.is_quiet) {
      say("waits for processes that the program has left running; Ctrl-C ends the trace");
      has_told = true;
    }
    if (with_progress && !is_collected_) show_progress();
  }
  thread_.join();
}

int Recording::conclude() {
  const trace::CollectorFigures all = collector_->figures();
  const double each =
      all.events == 0 ? 0 : static_cast<double>(output_->bytes()) / static_cast<double>(all.events);
  int status = host::kExitRunFailed;
  if (is_child_over_) {
    status = WIFSIGNALED(wait_status_) ? 128 + WTERMSIG(wait_status_) : WEXITSTATUS(wait_status_);
  } else if (must_leave_) {
    status = 128 + SIGINT;
  }
  if (options_.as_json) {
    const nlohmann::ordered_json figures = {{"place", place_},
                                            {"events", all.events},
                                            {"processes", all.processes},
                                            {"threads", all.threads},
                                            {"lost", all.lost},
                                            {"bytes", output_->bytes()},
                                            {"record_bytes", all.record_bytes},
                                            {"exit_status", status}};
    print(figures.dump() + "\n");
  } else if (!options_.is_quiet) {
    say(fmt::format(
        "{} events of {} process{} with {} thread{} in {}: {}, {:.2f} bytes an event, "
        "{} lost",
        all.events, all.processes, all.processes == 1 ? "" : "es", all.threads,
        all.threads == 1 ? "" : "s", place_, host::byte_text(output_->bytes()), each, all.lost));
  }
  if (all.processes == 0) {
    say(fmt::format("nothing was recorded: {}",
                    why_not_.empty() ? "the program has not loaded libtide-trace.so" : why_not_));
  }
  const bool is_worth_nothing = all.processes == 0 || all.has_failed;
  return status == 0 && is_worth_nothing ? host::kExitFailed : status;
}

int Recording::run() {
  try {
    start();
  } catch (const host::Error& error) {
    if (thread_.joinable()) {
      collector_->stop(error.what());
      thread_.join();
    }
    // Not to be taken for the program's own.
    const int status = error.exit_status();
    throw host::Error(error.what(), status == host::kExitFailed ? host::kExitRunFailed : status);
  }
  wait();
  control_.reset();
  return conclude();
}

}  // namespace

int record_program(const TraceOptions& options, const std::vector<std::string>& program) {
  return Recording(options, program).run();
}

}  // namespace tide::cli
