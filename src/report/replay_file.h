// Results of `tide replay`, as its JSON has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/parts.h"

namespace tide::report {

struct Figure {
  double median;
  double low;
  double high;
};

struct Latency {
  std::string call;
  double low_size;  // bytes
  double high_size;
  double count;
  Json p50, p99, p999, most;  // null: not measured
  Points histogram;           // from ns, count
};

struct ReplayRun {
  std::string label;
  std::string allocator;
  std::string library;
  std::string status;
  Json json;

  bool is_ok() const { return status == "ok"; }
  // Nothing: not measured.
  std::optional<Figure> figure(const char* name) const;
  std::vector<Latency> latencies() const;
  // Of a column of its timeline, 1: live bytes, 2: RSS, 3: VmSize.
  Points timeline(size_t column) const;
};

struct ReplayFile {
  Json json;
  std::vector<ReplayRun> runs;
};

// Whether a file's first bytes look like a replay's.
bool is_replay(const std::string& path);
// Throws host::Error, with what is wrong in it.
ReplayFile read_replay(const std::string& path);

// The median of a figure, or null.
Json median_of(const ReplayRun& run, const char* name);

}  // namespace tide::report
