// What has to be known of a workload before it is played: its calls, and how its recorded time is
// cut into windows of about as much work (format/replay_session.h), at the end of each of which the
// live bytes of a replay can be compared.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "format/trace_call.h"
#include "replay/workload_reader.h"

namespace tide::replay {

struct Survey {
  std::array<uint64_t, format::kCallCount> calls{};
  std::vector<uint64_t> window_ends;  // recorded time; the last one ends after everything
  std::vector<int64_t> window_live;   // by how much the live bytes grow in each
};

// Reads all operations: what is damaged is found here, as are threads that wait for each other.
// `progress` gets the operations done.
Survey survey(const WorkloadReader& workload, const std::function<void(uint64_t)>& progress);

// The window that an operation at that time is in.
uint32_t window_of(const std::vector<uint64_t>& ends, uint64_t time);

}  // namespace tide::replay
