#include "host/pagemap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace tide::host {

Pagemap::Pagemap(const Proc& proc, int pid)
    : file_(open(proc.path(pid, "pagemap").c_str(), O_RDONLY | O_CLOEXEC)) {}

std::optional<uint64_t> Pagemap::resident_bytes(uint64_t start, uint64_t end) const {
  if (file_.get() < 0) return std::nullopt;
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kAtOnce = 32768;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t last = (end + page - 1) / page;
  std::vector<uint64_t> entries;
  uint64_t resident = 0;
  for (uint64_t first = start / page; first < last;) {
    entries.resize(std::min(kAtOnce, last - first));
    const ssize_t got = pread(file_.get(), entries.data(), entries.size() * sizeof(uint64_t),
                              static_cast<off_t>(first * sizeof(uint64_t)));
    if (got < static_cast<ssize_t>(sizeof(uint64_t))) return std::nullopt;
    entries.resize(static_cast<size_t>(got) / sizeof(uint64_t));
    for (const uint64_t entry : entries) resident += (entry & kPresent) != 0 ? page : 0;
    first += entries.size();
  }
  return resident;
}

}  // namespace tide::host
