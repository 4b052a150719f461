#include "cli/trace_session.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "host/byte_text.h"
#include "trace/network_output.h"

namespace tide::cli {
namespace {

nlohmann::ordered_json describe_recording(const TraceOptions& options,
                                          const std::vector<std::string>& command) {
  utsname system{};
  uname(&system);
  constexpr std::array kStacks = {"none", "fp", "unwind"};
  return {{"tide", TIDE_VERSION},
          {"command", command},
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

}  // namespace

void TraceSession::say(const std::string& line) {
  const std::lock_guard lock(line_);
  clear_line();
  fmt::print(stderr, "tide trace: {}\n", host::printable(line));
}

void TraceSession::clear_line() {
  if (has_progress_) fmt::print(stderr, "\r\x1b[K");
  has_progress_ = false;
}

void TraceSession::open(trace::ArenaOwner& arena, const std::string& name,
                        const std::vector<std::string>& command) {
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
      arena, *output_,
      trace::CollectorSettings{options_.most_bytes, describe_recording(options_, command),
                               [this](const std::string& line) { say(line); }});
  if (options_.to.empty()) control_ = std::make_unique<TraceControl>(place_, *collector_);
}

void TraceSession::start() {
  thread_ = std::thread([this] {
    collector_->run();
    is_collected_ = true;
    kill(getpid(), SIGCHLD);
  });
}

void TraceSession::join() {
  thread_.join();
  control_.reset();
}

void TraceSession::abandon(const std::string& why) {
  if (!thread_.joinable()) return;
  collector_->stop(why);
  join();
}

void TraceSession::show_progress() {
  if (!terminal_.is_terminal() || options_.is_quiet || is_collected_) return;
  const trace::CollectorFigures now = collector_->figures();
  const std::lock_guard lock(line_);
  has_progress_ = true;
  fmt::print(stderr, "\r\x1b[K{} events, {} process{}, {}{}", now.events, now.processes,
             now.processes == 1 ? "" : "es", host::byte_text(now.bytes),
             now.lost == 0 ? "" : fmt::format(", {} lost", now.lost));
  std::fflush(stderr);
}

void TraceSession::report(int status) {
  const trace::CollectorFigures all = collector_->figures();
  const double each =
      all.events == 0 ? 0 : static_cast<double>(output_->bytes()) / static_cast<double>(all.events);
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
}

}  // namespace tide::cli
