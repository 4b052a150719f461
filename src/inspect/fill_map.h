// How full spans and pages are, and who holds the last block of a page: what `tide heap X frag` and
// the report of a core show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "walk/heap.h"

namespace tide::inspect {

using walk::kFillPage;

// Slabs of one size, and what their pages hold.
struct FragRow {
  uint64_t block_bytes = 0;  // 0: spans and mappings of one block each, or
  bool is_mixed = false;     // blocks of many sizes beside each other: glibc's arenas
  uint64_t spans = 0;
  uint64_t live_bytes = 0;
  uint64_t pages = 0;         // that were touched and not given back
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

// Makes a FragMap of spans.
class FillSurvey {
 public:
  // `most_last`: blocks that keep a page all by themselves, for example.
  explicit FillSurvey(size_t most_last) : most_last_(most_last) {}

  void add(const walk::Span& span);
  FragMap take();

 private:
  void add_whole(const walk::Span& span, FragRow& row);
  void add_slab(const walk::Span& span, FragRow& row);
  void add_pages(const walk::Span& span, std::span<const walk::PageFill> pages, FragRow& row);
  void draw(const walk::Span& span, std::vector<uint8_t> fill);

  size_t most_last_;
  std::map<std::pair<uint64_t, bool>, FragRow> rows_;  // by block_bytes and is_mixed
  FragMap map_;
  std::vector<walk::PageFill> pages_;
};

}  // namespace tide::inspect
