// What is in all blocks of a heap, by size and by class. Of a size that has many blocks a sample is
// looked at; classes of objects can be counted in full, as that takes a word a block.
//
// Memory does not grow with the heap.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/contents.h"
#include "inspect/owners.h"
#include "walk/heap.h"

namespace tide::inspect {

struct SurveyOptions {
  uint64_t most_per_size = 10'000;            // blocks to look at; 0: all
  uint64_t most_scanned = uint64_t{1} << 30;  // no scan for owners of more memory than this
  bool with_every_object = false;             // look at the first word of every block
  std::function<bool(uint64_t)> is_wanted;    // blocks of which usable sizes; empty: all
};

// Blocks of one size; of such as are larger than kLargestExact, of sizes up to twice the least.
struct SizeContents {
  uint64_t least = 0;  // bytes
  uint64_t largest = 0;
  uint64_t blocks = 0;
  uint64_t total_bytes = 0;
  uint64_t looked_at = 0;                // blocks whose kind was looked for
  std::array<uint64_t, kKinds> kinds{};  // of those
  std::map<uint32_t, uint64_t> classes;  // of those, by the class's number
};

struct ClassTotal {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
};

struct Survey {
  static constexpr uint64_t kLargestExact = 64 << 10;

  std::vector<SizeContents> sizes;  // ascending
  // With every object: all of them. A pair: the class's number, whether they are arrays.
  std::map<std::pair<uint32_t, bool>, ClassTotal> objects;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  uint64_t looked_at = 0;
  bool is_sampled = false;  // not every block was looked at
  bool is_scanned = false;  // owners were looked for
  // There were more blocks that may have one than were looked for: those that were stand for all.
  bool has_estimated_owners = false;
  walk::Unknown unknown;
};

Survey survey(const walk::Target& target, Heaps heaps, Contents& contents,
              const SurveyOptions& options);

// Of a kind that may be the elements of a string or container: what the owner says it is.
Kind kind_by_owner(Kind kind, Owner owner);
bool may_have_owner(Kind kind);

}  // namespace tide::inspect
