// The heap's figures in the forms that people and programs ask for: Tide's own text and JSON, and
// those of the C library (mallinfo2, malloc_info, malloc_stats). Prometheus' form: prometheus.h.
//
// All forms come from one heap::Stats, taken when they are asked for. What a field of the C library
// stands for here:
//
//   arena     mapped for blocks, those with a mapping of their own and our records left out
//   uordblks  usable bytes of live blocks in there       fordblks  the rest: arena - uordblks
//   ordblks   free blocks in slabs                       smblks    free blocks in thread caches
//   fsmblks   bytes of the latter                        usmblks   0, as in the C library
//   hblks     live blocks with a mapping of their own    hblkhd    bytes of those
//   keepcost  what malloc_trim could return: free bytes that may still be resident
// Any thread may call. Nothing here allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "api/report_writer.h"

namespace tide::api {

// In the order of the words in options.def.
enum class StatsFormat : uint8_t {
  kOff,
  kText,
  kJson,
  kPrometheus,
};

struct MallinfoFigures {
  size_t arena;
  size_t ordblks;
  size_t smblks;
  size_t hblks;
  size_t hblkhd;
  size_t usmblks;
  size_t fsmblks;
  size_t uordblks;
  size_t fordblks;
  size_t keepcost;
};

MallinfoFigures mallinfo_figures();

// For people: totals, then a row per size class in use.
void write_stats_text(ReportWriter& out);

// One object on one line, without a newline. Keys may be added; "schema_version" counts up when one
// changes its meaning or goes.
void write_stats_json(ReportWriter& out);

// The XML document of malloc_info, in the C library's shape with one heap.
void write_malloc_info(ReportWriter& out);

// What malloc_stats prints: the C library's lines, then write_stats_text().
void write_malloc_stats(ReportWriter& out);

}  // namespace tide::api
