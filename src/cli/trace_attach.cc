// `tide trace --pid PID`: records a process on Tide that runs already, and leaves it as it was.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "cli/attached_process.h"
#include "cli/command.h"
#include "cli/trace_options.h"
#include "cli/trace_session.h"
#include "host/error.h"

namespace tide::cli {
namespace {

using Clock = std::chrono::steady_clock;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// Slots of processes that run another program now: that one is not on these slots.
void end_executed(const AttachedProcess& process, trace::ArenaOwner& arena) {
  for (uint32_t i = 0; i < arena.arena().process_count; ++i) {
    format::ProcessSlot& slot = arena.slot(i);
    auto state = format::ProcessState::kLive;
    if (slot.state.load(std::memory_order_acquire) != state) continue;
    if (process.runs_another(arena.process_of(slot))) {
      slot.state.compare_exchange_strong(state, format::ProcessState::kEnded);
    }
  }
}

// Until the time is over, somebody interrupts, or nothing is left to record. Returns why.
std::string wait(const TraceOptions& options, TraceSession& session, const AttachedProcess& process,
                 trace::ArenaOwner& arena) {
  const sigset_t watched = watched_signals();
  const auto start = Clock::now();
  while (!session.is_collected()) {
    double patience = 1;
    if (options.seconds.has_value()) {
      const double passed = std::chrono::duration<double>(Clock::now() - start).count();
      if (passed >= *options.seconds) return fmt::format("after {:g} s", *options.seconds);
      patience = std::min(patience, *options.seconds - passed);
    }
    const timespec time{
        static_cast<time_t>(patience),
        static_cast<long>((patience - static_cast<double>(static_cast<time_t>(patience))) * 1e9)};
    siginfo_t signal;
    if (sigtimedwait(&watched, &signal, &time) > 0 && signal.si_signo != SIGCHLD) {
      return "interrupted";
    }
    end_executed(process, arena);
    session.show_progress();
  }
  return "it has ended";
}

}  // namespace

int record_process(const TraceOptions& options) {
  std::unique_ptr<trace::ArenaOwner> arena;  // outlives the session, whose collector reads it
  TraceSession session(options);
  const auto say = [&](const std::string& line) { session.say(line); };
  // An interruption waits until the process can be left as it was.
  const sigset_t watched = watched_signals();
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);

  if (options.repairs) {
    const size_t count = repair_recorded(*options.process, say);
    if (!options.is_quiet) {
      say(count == 0 ? fmt::format("process {} is not recorded", *options.process)
                     : fmt::format("{} process{} repaired", count, count == 1 ? "" : "es"));
    }
    return host::kExitOk;
  }

  AttachedProcess process(*options.process);
  const std::string name = fmt::format(
      "tide-trace-{}-{}", std::filesystem::path(process.command().front()).filename().string(),
      *options.process);
  arena = process.make_arena(options.arena);
  session.open(*arena, name, process.command());
  session.collector().attached(*options.process, process.attach(*arena, !options.has_no_live));
  session.start();
  if (!options.is_quiet) {
    say(fmt::format("records process {} from now on; Ctrl-C ends the recording", *options.process));
  }
  const std::string why = wait(options, session, process, *arena);
  process.detach(say);
  session.collector().stop(why);
  session.join();
  session.report(host::kExitOk);
  return session.collector().figures().has_failed ? host::kExitFailed : host::kExitOk;
}

}  // namespace tide::cli
