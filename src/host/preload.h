// Whether a library can be put into a program by LD_PRELOAD, and how.
//
// The dynamic loader drops a library that it cannot use with a warning at best, and the program
// then runs on the system's malloc: everything that is known to end so is refused here, before the
// start.
#pragma once

#include <string>
#include <string_view>

#include "host/elf_file.h"

namespace tide::host {

struct PreloadLibrary {
  std::string path;  // absolute: children may run in other folders
  ElfSummary elf;
};

// A library of ours ("libtide.so") beside this very executable: ../lib, ../lib64,
// ../lib/<multiarch>, or the same folder. Throws Error (kExitRunFailed) that names the places when
// there is none.
std::string find_own_library(std::string_view name = "libtide.so");

// Throws Error (kExitRunFailed) when `path` is no shared library or LD_PRELOAD cannot hold its
// name.
PreloadLibrary open_preload_library(const std::string& path);

// Throws Error (kExitCannotRun or kExitNotFound), one line that says why and what to do instead,
// unless `library` will be loaded into the program at `path`. For a script: into its interpreter.
void require_preloadable(const std::string& path, const PreloadLibrary& library);

// The value for LD_PRELOAD: `library` first, then what `existing` has, each once. But our recorder,
// if it is there, stays in front, or it would see nothing.
std::string preload_list(const std::string& library, std::string_view existing);

}  // namespace tide::host
