// What the agent knows, in Prometheus' text exposition format, version 0.0.4: the metrics of
// tide_stats_prometheus, with labels that say whose they are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/agent_processes.h"

namespace tide::cli {

// Of the agent itself.
struct AgentMetric {
  std::string name;  // behind "tide_agent_"
  uint64_t value;
  std::string meaning;
};

std::string prometheus_text(const std::vector<const AgentProcess*>& processes,
                            const std::vector<AgentMetric>& own);

}  // namespace tide::cli
