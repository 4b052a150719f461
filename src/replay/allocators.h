// The allocators of a comparison: names that people know, libraries by path, options of each.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/program.h"

namespace tide::replay {

struct Allocator {
  std::string name;
  std::string label;    // the name with the options: "tide purge_delay=8ms"
  std::string library;  // absolute; empty: the C library's own malloc
  std::vector<std::pair<std::string, std::string>> options;    // as they were given
  std::vector<std::pair<std::string, std::string>> variables;  // of the environment

  // The environment of a process on it: of LD_PRELOAD it is alone there.
  host::Environment environment() const;
};

// NAME[=PATH][:OPTION=VALUE]... An option of an allocator that is known by its own name (as glibc's
// "arena_max", jemalloc's "dirty_decay_ms"), or any variable of the environment, in capitals.
// Throws host::Error: an unknown name, with those that are known; one that is not installed, with
// the package; a file that can't be loaded.
Allocator parse_allocator(const std::string& text);
// With one more option.
Allocator with_option(const Allocator& allocator, const std::string& option,
                      const std::string& value);

// glibc, Tide, and those of the known ones that are installed.
std::vector<Allocator> installed_allocators();

}  // namespace tide::replay
