// Where the RSS of a process is: parts that add up to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "walk/places.h"
#include "walk/process_picture.h"

namespace tide::walk {

enum class Part : uint8_t {
  // Of Tide.
  kLive,
  kCached,
  kFree,
  kRecords,
  // Of any process.
  kBreak,
  kArenas,
  kAnonymous,
  kStacks,
  kProgram,
  kFiles,
  kShared,
  kUnexplained,
};
inline constexpr size_t kPartCount = 12;

// For programs: "live", "not_explained".
std::string_view part_key(Part part);

// A size class with free memory that may be resident.
struct FreeInClass {
  uint64_t block_bytes;
  uint64_t free_bytes;
  uint64_t slabs;
  uint64_t live_blocks;
};

struct RssParts {
  Allocator allocator;
  uint64_t rss_bytes = 0;  // the sum of all parts
  std::array<uint64_t, kPartCount> bytes{};
  size_t stacks = 0;
  size_t arenas = 0;
  uint64_t kept_bytes = 0;                   // of kFree: in mappings that are kept for reuse
  uint64_t untouched_bytes = 0;              // of live, cached or dirty memory: not resident
  uint64_t huge_page_bytes = 0;              // of all: in transparent huge pages
  uint64_t hugetlb_bytes = 0;                // beside the RSS
  uint64_t swap_bytes = 0;                   // beside the RSS
  std::vector<FreeInClass> free_in_classes;  // most first

  uint64_t of(Part part) const { return bytes[static_cast<size_t>(part)]; }
};

RssParts find_parts(const ProcessPicture& picture);

}  // namespace tide::walk
