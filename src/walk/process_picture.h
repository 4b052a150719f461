// All that is known of a process's memory at a moment: from /proc, and from Tide when it runs on
// that.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/proc.h"
#include "host/process_maps.h"
#include "walk/heap_reader.h"

namespace tide::walk {

struct TidePicture {
  std::string version;
  HeapFigures figures;
  HeapRanges ranges;
};

struct ProcessPicture {
  int pid = 0;
  std::string command;
  uint64_t rss_bytes = 0;                // as the kernel counts it for the process
  std::vector<host::Mapping> mappings;   // with what is resident
  std::vector<uint64_t> stack_pointers;  // of threads that wait in the kernel
  size_t threads = 0;
  std::optional<TidePicture> tide;
  // Bytes of resident pages in a range; nothing when that is not known.
  std::function<std::optional<uint64_t>(uint64_t start, uint64_t end)> resident;
};

// Throws host::Error: no such process, not permitted.
ProcessPicture take_picture(const host::Proc& proc, int pid);

}  // namespace tide::walk
