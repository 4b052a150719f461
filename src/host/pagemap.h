// Which pages of a process are resident, from /proc/PID/pagemap.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "host/file_descriptor.h"
#include "host/proc.h"

namespace tide::host {

class Pagemap {
 public:
  Pagemap(const Proc& proc, int pid);

  // Bytes of resident pages in [start, end), or nothing where that is not to be had.
  std::optional<uint64_t> resident_bytes(uint64_t start, uint64_t end) const;

  // Of every page that [start, end) touches, in order; nothing where that is not to be had.
  enum class State : uint8_t { kAbsent, kResident, kSwapped };
  std::optional<std::vector<State>> states(uint64_t start, uint64_t end) const;
  // How long pages are.
  static uint64_t page_bytes();

  // The first address in [start, end) whose page is resident or swapped out; `end`: none is. Where
  // that is not to be had it is `start`. Of pages of files it says nothing.
  uint64_t first_touched(uint64_t start, uint64_t end) const;

 private:
  // The entries of pages from `first` on, at least one of at most `most`. False: not to be had.
  bool read(uint64_t first, uint64_t most, std::vector<uint64_t>& entries) const;

  FileDescriptor file_;
};

}  // namespace tide::host
