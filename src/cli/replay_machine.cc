#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "cli/replay_report.h"

namespace tide::cli {

Machine this_machine() {
  Machine machine{};
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name") && !line.starts_with("Model")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) machine.cpu = line.substr(colon + 2);
    break;
  }
  cpu_set_t set;
  machine.cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
  machine.page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  machine.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * machine.page_bytes;
  utsname system;
  if (uname(&system) == 0) {
    machine.kernel = system.release;
    if (machine.cpu.empty()) machine.cpu = system.machine;
  }
  return machine;
}

std::string date_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc;
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace tide::cli
