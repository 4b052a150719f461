// Which pages of a process are resident, from /proc/PID/pagemap.
#pragma once

#include <cstdint>
#include <optional>

#include "host/file_descriptor.h"
#include "host/proc.h"

namespace tide::host {

class Pagemap {
 public:
  Pagemap(const Proc& proc, int pid);

  // Bytes of resident pages in [start, end), or nothing where that is not to be had.
  std::optional<uint64_t> resident_bytes(uint64_t start, uint64_t end) const;

 private:
  FileDescriptor file_;
};

}  // namespace tide::host
