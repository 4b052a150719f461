// The processes of this machine that run on Tide, and their figures: looked for again and again, so
// what is known of a process is kept, and only what is new is looked at closely.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/fleet_rows.h"
#include "host/proc.h"
#include "host/symbol_cache.h"
#include "walk/live_heap.h"

namespace tide::cli {

struct AgentProcess {
  int pid = 0;
  FleetLabels labels;
  uint64_t rss_bytes = 0;
  walk::HeapFigures figures;
  std::string library_version;
  std::string program;
  std::string group;   // path of its control group
  int pid_inside = 0;  // its number in its own PID namespace
  bool is_sampled = false;
  bool is_new = false;  // found by the last look
};

class AgentProcesses {
 public:
  AgentProcesses(const host::Proc& proc, std::string host);
  ~AgentProcesses();

  // Looks at all of them. What is returned stays until the next call.
  const std::vector<const AgentProcess*>& look();
  // That may not be read, on Tide or not.
  size_t denied() const { return denied_; }

  // Of one process; nothing when it does not run on Tide. For who has no time to look around.
  static std::optional<AgentProcess> describe(const host::Proc& proc, const std::string& host,
                                              int pid, host::SymbolCache& cache);

 private:
  struct Known;

  const host::Proc& proc_;
  const std::string host_;
  std::map<int, Known> known_;
  std::vector<const AgentProcess*> found_;
  size_t denied_ = 0;
};

}  // namespace tide::cli
