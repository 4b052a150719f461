// The agent of a machine: looks at its processes, shows what it sees as metrics, and hands it to
// the spool.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "cli/agent_metrics.h"
#include "cli/agent_processes.h"
#include "cli/agent_profiles.h"
#include "fleet/shipper.h"
#include "fleet/spool.h"

namespace tide::cli {

struct AgentSettings {
  std::string host;
  std::string proc_folder = "/proc";
  std::string textfile_folder;  // empty: no file
  uint64_t every_ns = 0;
  uint64_t profiles_every_ns = 0;  // 0: none
  bool is_quiet = false;
};

// A line on standard error, from any thread.
void agent_says(const std::string& line);

class Agent {
 public:
  explicit Agent(const AgentSettings& settings);

  // From here on what is seen is shipped, too.
  void ship(fleet::Spool& spool, fleet::Shipper& shipper);

  // One look, and all that follows from it.
  void turn();
  // The page of metrics; looks again when the last look is old. From any thread.
  std::string page();

  size_t processes() const { return process_count_; }
  uint64_t refused_batches() const { return refused_batches_; }

 private:
  void look_locked();
  void put_statistics_locked();
  void put_locked(bool is_taken);
  void collect_profiles_locked();
  void write_textfile(const std::string& text);
  std::string text_locked();

  const AgentSettings settings_;
  const host::Proc proc_;
  std::mutex mutex_;
  AgentProcesses processes_;
  std::vector<const AgentProcess*> seen_;
  uint64_t seen_ns_ = 0;
  size_t process_count_ = 0;
  fleet::Spool* spool_ = nullptr;
  fleet::Shipper* shipper_ = nullptr;
  std::optional<ProfileCollector> profiles_;
  uint64_t next_profiles_ns_ = 0;
  std::set<int64_t> described_;  // processes that the database knows, or will
  bool is_host_described_ = false;
  bool is_full_ = false;
  bool has_textfile_failed_ = false;
  uint64_t refused_batches_ = 0;
};

}  // namespace tide::cli
