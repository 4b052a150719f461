#include "host/pagemap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace tide::host {
namespace {

constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kSwapped = uint64_t{1} << 62;
constexpr uint64_t kAtOnce = 32768;

}  // namespace

uint64_t Pagemap::page_bytes() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

Pagemap::Pagemap(const Proc& proc, int pid)
    : file_(open(proc.path(pid, "pagemap").c_str(), O_RDONLY | O_CLOEXEC)) {}

bool Pagemap::read(uint64_t first, uint64_t most, std::vector<uint64_t>& entries) const {
  if (file_.get() < 0) return false;
  entries.resize(std::min(kAtOnce, most));
  const ssize_t got = pread(file_.get(), entries.data(), entries.size() * sizeof(uint64_t),
                            static_cast<off_t>(first * sizeof(uint64_t)));
  if (got < static_cast<ssize_t>(sizeof(uint64_t))) return false;
  entries.resize(static_cast<size_t>(got) / sizeof(uint64_t));
  return true;
}

std::optional<uint64_t> Pagemap::resident_bytes(uint64_t start, uint64_t end) const {
  const uint64_t page = page_bytes();
  const uint64_t last = (end + page - 1) / page;
  std::vector<uint64_t> entries;
  uint64_t resident = 0;
  for (uint64_t first = start / page; first < last; first += entries.size()) {
    if (!read(first, last - first, entries)) return std::nullopt;
    for (const uint64_t entry : entries) resident += (entry & kPresent) != 0 ? page : 0;
  }
  return file_.get() < 0 ? std::nullopt : std::optional(resident);
}

std::optional<std::vector<Pagemap::State>> Pagemap::states(uint64_t start, uint64_t end) const {
  const uint64_t page = page_bytes();
  const uint64_t last = (end + page - 1) / page;
  std::vector<State> states;
  std::vector<uint64_t> entries;
  for (uint64_t first = start / page; first < last; first += entries.size()) {
    if (!read(first, last - first, entries)) return std::nullopt;
    for (const uint64_t entry : entries) {
      states.push_back((entry & kPresent) != 0   ? State::kResident
                       : (entry & kSwapped) != 0 ? State::kSwapped
                                                 : State::kAbsent);
    }
  }
  return states;
}

uint64_t Pagemap::first_touched(uint64_t start, uint64_t end) const {
  // Mostly the first page is.
  constexpr uint64_t kFirstLook = 64;
  const uint64_t page = page_bytes();
  const uint64_t last = (end + page - 1) / page;
  std::vector<uint64_t> entries;
  uint64_t most = kFirstLook;
  for (uint64_t first = start / page; first < last; first += entries.size()) {
    if (!read(first, std::min(most, last - first), entries)) return std::max(start, first * page);
    const auto touched = std::find_if(entries.begin(), entries.end(), [](uint64_t entry) {
      return (entry & (kPresent | kSwapped)) != 0;
    });
    if (touched != entries.end()) {
      first += static_cast<uint64_t>(touched - entries.begin());
      return std::max(start, first * page);
    }
    most = kAtOnce;
  }
  return end;
}

}  // namespace tide::host
