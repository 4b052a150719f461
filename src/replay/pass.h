// One process that plays the workload once on one allocator, and what was seen of it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/replay_session.h"
#include "replay/allocators.h"
#include "replay/survey.h"
#include "replay/workload_reader.h"

namespace tide::replay {

// What is limited by `limit_bytes`.
enum class LimitBy {
  kEither,        // kGroup where a control group can be made, else kAddressSpace
  kGroup,         // what is resident: a control group; who needs more is killed
  kAddressSpace,  // RLIMIT_AS: malloc fails
};

struct Settings {
  format::ReplayTouch touch = format::ReplayTouch::kRecorded;
  bool at_recorded_speed = false;
  uint32_t copies = 1;
  uint32_t threads_per_core = 0;  // 0: the system places them
  uint64_t trim_every_ns = 0;     // 0: never
  uint64_t limit_bytes = 0;       // 0: none
  LimitBy limit_by = LimitBy::kEither;
  uint64_t timeout_ns = 0;  // of one pass; 0: none
};

enum class PassKind {
  kNull,         // calls nobody: the cost of the player itself
  kPlain,        // time and memory
  kLatency,      // every call timed
  kSystemCalls,  // every system call about memory counted
  kNullSystemCalls,
  kPages,  // stops at a moment, where the pages with live blocks are counted
};

constexpr bool is_null(PassKind kind) {
  return kind == PassKind::kNull || kind == PassKind::kNullSystemCalls;
}
constexpr bool counts_system_calls(PassKind kind) {
  return kind == PassKind::kSystemCalls || kind == PassKind::kNullSystemCalls;
}

struct Sample {
  uint64_t time_ns;  // recorded time that has been reached
  uint64_t live_bytes;
  uint64_t rss_bytes;  // of these four, the player's own part is not taken off
  uint64_t vm_bytes;
  uint64_t harness_bytes;
  uint64_t harness_vm_bytes;
};

struct LatencyBand {
  format::LatencyKind kind;
  size_t band;
  uint64_t count = 0;
  uint64_t longest = 0;
  std::array<uint64_t, format::kLatencyBuckets> counts{};
};

struct PassResult {
  std::string status = "ok";  // or what became of it: "crashed: SIGSEGV after 12 calls"
  bool is_ok() const { return status == "ok"; }
  std::string said;  // by the allocator, on its standard error: the first line

  uint64_t operations = 0;  // done
  std::array<uint64_t, format::kCallCount> calls{};
  int64_t live_bytes = 0;  // at the end, with live_blocks
  int64_t live_blocks = 0;
  bool live_curve_equal = false;  // at the end of each window as the survey says
  double wall_ns = 0;
  double cpu_ns = 0;  // without what waiting threads spun
  double decode_ns = 0;
  double waited_ns = 0;
  uint64_t waits = 0;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  // With the player's own part, which is beside them.
  uint64_t peak_rss = 0;
  uint64_t peak_vm = 0;
  uint64_t harness_bytes = 0;
  uint64_t harness_vm_bytes = 0;
  uint64_t program_vm_bytes = 0;  // before the first call, without the player's own part
  std::vector<Sample> timeline;

  double ns_per_tick = 0;
  std::vector<LatencyBand> latencies;                           // in ticks
  std::optional<std::map<std::string, uint64_t>> system_calls;  // nothing: not allowed here
  uint64_t live_pages = 0;                                      // kPages: hold a live block
  uint64_t live_at_stop = 0;                                    // bytes
};

class Passes {
 public:
  // The workload's file must stay as it is. Throws host::Error where the limit cannot be as asked.
  Passes(const WorkloadReader& workload, const Survey& survey, const Settings& settings);

  // `stop_at_ns` is for kPages. `progress` gets the operations done, from time to time.
  PassResult run(const Allocator& allocator, PassKind kind, uint64_t stop_at_ns,
                 const std::function<void(uint64_t)>& progress) const;

  // Never kEither. If the address space though either would do, why.
  LimitBy limit_by() const { return limit_by_; }
  const std::string& why_no_group() const { return why_no_group_; }

 private:
  const WorkloadReader& workload_;
  const Survey& survey_;
  const Settings settings_;
  const std::string player_;
  std::string why_no_group_;
  const LimitBy limit_by_;
};

}  // namespace tide::replay
