// A recording on the side of the command: where the trace goes, the collector in a thread of its
// own, and what people see of it. What is recorded is the caller's matter.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/trace_control.h"
#include "cli/trace_options.h"
#include "host/terminal.h"
#include "trace/collector.h"

namespace tide::cli {

class TraceSession {
 public:
  explicit TraceSession(const TraceOptions& options) : options_(options) {}

  // `name`: of the folder, unless the user says one; `command`: of what is recorded.
  void open(trace::ArenaOwner& arena, const std::string& name,
            const std::vector<std::string>& command);
  // Sends this process SIGCHLD once everything has been collected.
  void start();
  bool is_collected() const { return is_collected_; }
  // Waits for that.
  void join();
  // The same after stop(), if it was started.
  void abandon(const std::string& why);

  trace::Collector& collector() { return *collector_; }

  void say(const std::string& line);
  // On a terminal, unless --quiet.
  void show_progress();
  // What was recorded; `status` is for --json.
  void report(int status);

 private:
  void clear_line();

  const TraceOptions& options_;
  std::string place_;
  host::Terminal terminal_{2};
  std::unique_ptr<trace::TraceOutput> output_;
  std::unique_ptr<trace::Collector> collector_;
  std::unique_ptr<TraceControl> control_;
  std::thread thread_;
  std::atomic<bool> is_collected_{false};
  bool has_progress_ = false;
  std::mutex line_;  // of standard error
};

}  // namespace tide::cli
