// A whole comparison: the workload on each allocator, repetition after repetition, and the figures
// of it without the player's own part.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/allocators.h"
#include "replay/figures.h"
#include "replay/latencies.h"
#include "replay/pass.h"

namespace tide::replay {

struct Plan {
  std::vector<Allocator> allocators;
  Settings settings;
  uint32_t repetitions = 5;
  bool measures_latency = true;
  bool measures_system_calls = true;
  bool measures_pages = true;
};

struct TimelinePoint {
  uint64_t time_ns;
  uint64_t live_bytes;
  uint64_t rss_bytes;
  uint64_t vm_bytes;
};

struct AllocatorResult {
  Allocator allocator;
  std::string status = "ok";  // of the first pass that went wrong
  std::string said;  // by the allocator, while it was played: an option that it does not know
  std::array<Figure, kFigureCount> figures;
  std::array<uint64_t, format::kCallCount> calls{};  // of one repetition
  int64_t live_blocks_at_end = 0;
  int64_t live_bytes_at_end = 0;
  bool live_curve_equal = true;  // in all repetitions, at the end of each window
  std::vector<LatencyRow> latencies;
  std::optional<std::map<std::string, uint64_t>> system_calls;
  std::vector<TimelinePoint> timeline;

  Figure& figure(FigureId id) { return figures[static_cast<size_t>(id)]; }
  const Figure& figure(FigureId id) const { return figures[static_cast<size_t>(id)]; }
  bool is_ok() const { return status == "ok"; }
};

// What the player costs without an allocator.
struct HarnessCost {
  Figure cpu_ns;
  Figure wall_ns;
  Figure decode_ns;
  uint64_t rss_bytes = 0;  // of a player that does nothing: program, libraries, stack
  uint64_t vm_bytes = 0;
};

struct ReplayResult {
  HarnessCost harness;
  LimitBy limit_by = LimitBy::kAddressSpace;  // where there is a limit
  std::string why_no_group;                   // if a control group was to be, and is not
  std::vector<AllocatorResult> runs;
};

// `progress`: what is being done, and how much of all of it is done, 0 to 1.
ReplayResult replay(const WorkloadReader& workload, const Survey& survey, const Plan& plan,
                    const std::function<void(const std::string&, double)>& progress);

}  // namespace tide::replay
