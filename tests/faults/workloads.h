// What the program does while the system fails: one list of steps per kind of memory.
#pragma once

#include <cstdint>

namespace tide::faults {

struct Workload {
  const char* name;
  void (*run)();
};

extern const Workload kWorkloads[];
extern const uint32_t kWorkloadCount;

}  // namespace tide::faults
