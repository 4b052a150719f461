// The options of `tide replay`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/replay_report.h"
#include "replay/replay.h"

namespace tide::cli {

struct ReplayOptions {
  std::string workload;
  std::vector<std::string> with;
  std::string output;
  std::string ledger;
  std::string baseline;
  std::vector<std::string> conditions;
  bool wants_json = false;

  void add_to(VerbParser& parser);
  // Throws host::Error for what they can't mean.
  replay::Plan plan() const;
  // Of the sweep, if there is one.
  std::optional<Experiment> experiment() const;

 private:
  std::vector<replay::Allocator> allocators() const;

  uint32_t repetitions_ = 5;
  std::string speed_ = "max";
  std::string touch_ = "recorded";
  std::string limit_;
  std::string limit_by_;
  std::string trim_every_;
  std::string timeout_;
  std::string sweep_;
  uint32_t scale_ = 1;
  uint32_t threads_per_core_ = 0;
  std::string measure_ = "latency,syscalls,pages";
};

}  // namespace tide::cli
