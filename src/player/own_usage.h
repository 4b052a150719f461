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

// Bytes; 0 where that is not to be had. VmSize of now.
uint64_t own_vm_bytes();
// The most there has been: VmHWM and VmPeak.
void read_own_peaks(uint64_t& rss, uint64_t& vm);

}  // namespace tide::player
