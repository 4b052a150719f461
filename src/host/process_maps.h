// The mappings of a process, from /proc/PID/maps or, with what is resident, /proc/PID/smaps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide::host {

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  bool is_readable = false;
  bool is_writable = false;
  bool is_executable = false;
  bool is_shared = false;
  uint64_t offset = 0;
  std::string device;  // as printed
  uint64_t inode = 0;  // 0: no file
  std::string name;    // a path, "[heap]" and the like, or empty

  // From smaps, in bytes; 0 from maps.
  uint64_t rss = 0;
  uint64_t anonymous = 0;
  uint64_t huge_pages = 0;  // transparent ones, part of rss
  uint64_t hugetlb = 0;     // not part of rss
  uint64_t swap = 0;

  uint64_t size() const { return end - start; }
  bool is_file() const { return !name.empty() && name[0] == '/'; }
  bool contains(uint64_t address) const { return address - start < size(); }
};

// Lines that are of neither file are passed over.
std::vector<Mapping> parse_maps(std::string_view text);

}  // namespace tide::host
