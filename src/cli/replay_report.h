// The result of a replay with all that it is about, for those who show it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/terminal.h"
#include "replay/fidelity.h"
#include "replay/replay.h"

namespace tide::cli {

// What a sweep has tried.
struct Experiment {
  std::string option;
  std::vector<std::string> values;
};

struct ReplayReport {
  const replay::WorkloadReader& workload;
  const replay::Survey& survey;
  const replay::Plan& plan;
  const replay::ReplayResult& result;
  std::string command;
  std::string date;
  std::optional<Experiment> experiment;
  std::optional<replay::Fidelity> fidelity;
};

// docs/formats-replay.md
nlohmann::ordered_json replay_json(const ReplayReport& report);
std::string replay_text(const ReplayReport& report, const host::Terminal& terminal);

// "tide: 1.18x faster, 41 % less memory than glibc on this workload".
std::string replay_sentence(const ReplayReport& report);

// Of the good runs those to which none other is better in both wall time and RSS; their indices.
std::vector<size_t> pareto_front(const replay::ReplayResult& result);

struct Machine {
  std::string cpu;
  unsigned cores;
  uint64_t memory_bytes;
  std::string kernel;
  uint64_t page_bytes;
};
Machine this_machine();

// "2026-11-22T04:17:33Z".
std::string date_text();

}  // namespace tide::cli
