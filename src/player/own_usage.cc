#include "player/own_usage.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

namespace tide::player {
namespace {

// A number in front of " kB", behind a name as in /proc/self/status.
uint64_t kilobytes(const char* text, const char* name) {
  const char* at = strstr(text, name);
  if (at == nullptr) return 0;
  at += strlen(name);
  while (*at == ' ' || *at == '\t') ++at;
  uint64_t number = 0;
  for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + static_cast<uint64_t>(*at - '0');
  return number << 10;
}

bool read_status(char* text, size_t bytes) {
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t got = read(file, text, bytes - 1);
  close(file);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

uint64_t nanoseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(time.tv_usec) * 1000;
}

}  // namespace

CpuTime own_cpu_time() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
          static_cast<uint64_t>(usage.ru_minflt), static_cast<uint64_t>(usage.ru_majflt)};
}

uint64_t own_vm_bytes() {
  char text[4096];
  return read_status(text, sizeof text) ? kilobytes(text, "VmSize:") : 0;
}

void read_own_peaks(uint64_t& rss, uint64_t& vm) {
  char text[4096];
  if (!read_status(text, sizeof text)) return;
  rss = kilobytes(text, "VmHWM:");
  vm = kilobytes(text, "VmPeak:");
}

}  // namespace tide::player
