// What each mapping of a process is, as far as /proc tells; and which allocator the process has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "walk/process_picture.h"

namespace tide::walk {

enum class MappingKind : uint8_t {
  kProgram,  // program, libraries, their zeroed data, the kernel's [vdso]
  kFile,     // other files
  kStack,
  kShared,     // shared memory
  kBreak,      // [heap]: what brk gave
  kArena,      // an arena of glibc's malloc but the first
  kAnonymous,  // all other anonymous mappings
};

enum class AllocatorKind : uint8_t {
  kTide,
  kGlibc,
  kOther,    // one that is mapped as a library
  kUnknown,  // the program has its own, or it is static
};

struct Allocator {
  AllocatorKind kind;
  std::string name;  // for people: "glibc's malloc"
};

Allocator recognise_allocator(const ProcessPicture& picture);

// One for each mapping.
std::vector<MappingKind> find_places(const ProcessPicture& picture, const Allocator& allocator);

}  // namespace tide::walk
