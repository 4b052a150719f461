#include "trace/process_memory.h"

#include <fcntl.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "host/proc.h"

namespace tide::trace {
namespace {

// The clock of a process's CPU time, as clock_getcpuclockid() makes it, without its look at whether
// the process is there.
clockid_t cpu_clock_of(int32_t pid) {
  constexpr unsigned kScheduled = 2;
  return static_cast<clockid_t>(~static_cast<unsigned>(pid) << 3 | kScheduled);
}

}  // namespace

bool sample_of_status(std::string_view status, uint64_t arena_bytes, uint64_t& high_water,
                      format::MemorySample& sample) {
  // The fields stand together; all before them would be looked through six times.
  const size_t first = status.find("\nVmSize:");
  if (first == std::string_view::npos) return false;
  status.remove_prefix(first + 1);
  const auto field = [&](std::string_view name) {
    return host::field_value(status, name).value_or(0);
  };
  const uint64_t vm = field("VmSize");
  sample.vm = vm > arena_bytes ? vm - arena_bytes : vm;
  sample.anonymous = field("RssAnon");
  sample.rss = sample.anonymous + field("RssFile");
  sample.peak_rss = sample.rss;
  const uint64_t shared = field("RssShmem");
  const uint64_t highest = field("VmHWM");
  if (highest > high_water && highest > shared) {
    sample.peak_rss = std::max(sample.rss, highest - shared);
  }
  high_water = highest;
  return true;
}

ProcessMemory::ProcessMemory(int32_t pid, uint64_t arena_bytes)
    : status_(open(host::Proc().path(pid, "status").c_str(), O_RDONLY | O_CLOEXEC)),
      pid_(pid),
      arena_bytes_(arena_bytes) {}

bool ProcessMemory::read(format::MemorySample& sample) {
  char text[4096];
  const ssize_t bytes = pread(status_.get(), text, sizeof text, 0);
  if (bytes <= 0 ||
      !sample_of_status({text, static_cast<size_t>(bytes)}, arena_bytes_, high_water_, sample)) {
    return false;
  }
  timespec taken{};
  if (clock_gettime(cpu_clock_of(pid_), &taken) != 0) return false;
  sample.cpu_ns =
      static_cast<uint64_t>(taken.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(taken.tv_nsec);
  return true;
}

}  // namespace tide::trace
