// Opens what a user names: a process by its number, or a core file; and finds the heaps in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::walk {

struct OpenOptions {
  bool stop = true;     // the process, while it is looked at
  std::string sysroot;  // the folder that a core's files are under; empty: this machine's
  std::string program;  // the program's file, where a core's own name for it leads nowhere
};

// Throws host::Error.
std::unique_ptr<Target> open_target(const std::string& what, const OpenOptions& options);

// All heaps: of every copy of Tide in it, or glibc's when there is none of Tide. At least one:
// throws host::Error that says what is missing.
std::vector<std::unique_ptr<Heap>> find_heaps(const Target& target);

}  // namespace tide::walk
