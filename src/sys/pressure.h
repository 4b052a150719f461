// How short of memory the system is, as far as this process feels it: the kernel's pressure stall
// information. Nothing here allocates; errno is kept.
#pragma once

#include <cstdint>

#include "sys/cgroup.h"

namespace tide::sys {

enum class MemoryPressure : uint8_t {
  kNone,  // also where the kernel does not say
  kSome,  // tasks waited for memory in at least a hundredth of the last ten seconds
  kHigh,  // in at least a tenth
};

// Of the process's control group, or of the whole system where the group has no figures. Costs a
// handful of files: ask now and then. `root` stands before every path: empty but in tests.
MemoryPressure memory_pressure(GroupRoom& room, const char* root = "");

}  // namespace tide::sys
