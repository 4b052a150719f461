// What a process has at the moment, seen from outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/memory_sample.h"
#include "host/file_descriptor.h"

namespace tide::trace {

class ProcessMemory {
 public:
  // `arena_bytes`: of a shared mapping that is ours, to be left out.
  ProcessMemory(int32_t pid, uint64_t arena_bytes);

  // False: the process is gone, or has no memory any more.
  bool read(format::MemorySample& sample);

 private:
  host::FileDescriptor status_;  // kept open: it is this process's for good
  int32_t pid_;
  uint64_t arena_bytes_;
  uint64_t high_water_ = 0;
};

// The same from the text of /proc/PID/status, but for the CPU time. `high_water`: the most RSS that
// the kernel knew of the last time, with what is shared. False: there is no memory in the text.
bool sample_of_status(std::string_view status, uint64_t arena_bytes, uint64_t& high_water,
                      format::MemorySample& sample);

}  // namespace tide::trace
