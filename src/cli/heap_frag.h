// The map of spans that `tide heap X frag` shows, as text and as a picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "walk/heap.h"

namespace tide::cli {

// Slabs of one size, and what their pages hold.
struct FragRow {
  uint64_t block_bytes = 0;  // 0: spans and mappings of one block each
  uint64_t spans = 0;
  uint64_t live_bytes = 0;
  uint64_t pages = 0;         // that are not given back
  uint64_t pinned_pages = 0;  // with a live block on them
  uint64_t sparse_pages = 0;  // of those: less than a quarter is live
  uint64_t lonely_bytes = 0;  // of live blocks on sparse pages
};

// A block that keeps a page all by itself.
struct LastBlock {
  uint64_t address;
  uint64_t bytes;
  uint64_t span;
};

// A span for the picture: how full each 64th of it is, 0 to 255.
struct FragSpan {
  uint64_t address;
  uint64_t bytes;
  uint64_t block_bytes;
  std::vector<uint8_t> fill;
};

struct FragMap {
  std::vector<FragRow> rows;  // by what could go back: most first
  std::vector<LastBlock> last;
  std::vector<FragSpan> spans;
  uint64_t spans_left_out = 0;  // of the picture
  uint64_t live_bytes = 0;
  uint64_t page_bytes = 0;  // of all pages with a live block
};

std::string frag_html(const FragMap& map, const std::string& title);

}  // namespace tide::cli
