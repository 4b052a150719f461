// What this process has used, by the system's word. Allocates nothing.
#pragma once

#include <cstdint>

namespace tide::player {

struct CpuTime {
  uint64_t cpu_ns;
  uint64_t minor_faults;
  uint64_t major_faults;
};
CpuTime own_cpu_time();

// Of now, in bytes; 0 where it is not to be had.
void read_own_memory(uint64_t& rss, uint64_t& vm);
// The most there has been: VmHWM and VmPeak.
void read_own_peaks(uint64_t& rss, uint64_t& vm);

}  // namespace tide::player
