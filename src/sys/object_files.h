// The object files that the process runs code of: its program, its libraries, the kernel's part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tide::sys {

struct ObjectFile {
  uintptr_t address;          // of its first byte in memory
  size_t bytes;               // from there to its last
  std::string_view path;      // or a name such as "[vdso]"
  std::string_view build_id;  // in hex; empty: none, or not to be read
};

// Calls `visit(argument, file)` for each. By the kernel's list of mappings, not the dynamic
// linker's: no lock is taken and nothing allocated, so that it can be called anywhere. Keeps errno.
void visit_object_files(void (*visit)(void* argument, const ObjectFile& file), void* argument);

}  // namespace tide::sys
