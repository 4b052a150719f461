// Names of size classes and durations for axes and sentences.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report/parts.h"
#include "trace/histogram.h"

namespace tide::report {

// "0", "1", "2-3", "16-31", "1-2 KiB": what a bin of trace::Histogram holds.
std::string size_label(size_t bin);
// "128-255 ns", "1.0-2.1 ms".
std::string duration_label(size_t bin);

// First and last bin that is not empty; {0, 0}: all are.
struct BinRange {
  size_t first = 0;
  size_t end = 0;
};
BinRange used_bins(const trace::Histogram& histogram);

// The counts of a histogram as bars, with bytes as a second view where `with_bytes`.
Json size_bars(const Caption& caption, const trace::Histogram& sizes);
Json lifetime_bars(const Caption& caption, const trace::Histogram& lifetimes);

// "1 block", "2,000 blocks".
std::string counted(uint64_t count, const std::string& what);

}  // namespace tide::report
