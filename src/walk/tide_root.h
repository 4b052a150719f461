// A heap root of Tide (layout/heap_root.h) with its tables, read and found sane; and the search for
// roots without any file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layout/heap_header.h"
#include "layout/heap_root.h"
#include "walk/memory_source.h"
#include "walk/target.h"

namespace tide::walk {

struct TideRoot {
  layout::HeapRoot root{};
  std::vector<layout::ClassRow> classes;
  std::vector<layout::StackRow> stacks;
  std::string version;
  uint64_t engine = 0;

  // The address of what is at `offset` of the engine.
  uint64_t at(uint32_t offset) const { return engine + offset; }
};

// Throws host::Error when there is no root that we understand.
TideRoot read_tide_root(const MemorySource& memory, uint64_t address);

// The same from a header of the heap's tables, for a core that lacks the library's data. What the
// root says of the engine leads nowhere.
layout::HeapHeader read_tide_header(const MemorySource& memory, uint64_t address);
TideRoot root_of_header(const layout::HeapHeader& header);

template <class T>
T load_from(const MemorySource& memory, uint64_t address) {
  T value{};
  memory.read({{address, &value, sizeof value}});
  return value;
}

// The addresses of all roots: those that files' notes lead to (root_notes.h), and those that a
// search finds in the data of files without such a note; where a core tells no files and has no
// notes, in all that may be written. More than one: the library is there more than once.
std::vector<uint64_t> find_roots(const Target& target);

// The addresses of all headers.
std::vector<uint64_t> scan_for_headers(const Target& target);

}  // namespace tide::walk
