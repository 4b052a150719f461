// Finds the symbol tide_heap_root in a process: in its libtide.so, or in the program itself when
// libtide.a is linked into it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/elf_symbol.h"
#include "host/proc.h"
#include "host/process_maps.h"

namespace tide::walk {

// Remembers what it found in which file, for a view that asks again and again.
class RootFinder {
 public:
  explicit RootFinder(const host::Proc& proc) : proc_(proc) {}

  // The address of the root, or nothing: the process is not on Tide. Throws host::Error when it is
  // and the file of its library cannot be read.
  std::optional<uint64_t> find(int pid, const std::vector<host::Mapping>& mappings);

 private:
  std::optional<host::ElfSymbol> symbol_of(int pid, const host::Mapping& mapping, bool is_program);

  const host::Proc& proc_;
  std::map<std::pair<std::string, uint64_t>, std::optional<host::ElfSymbol>> known_;
};

}  // namespace tide::walk
