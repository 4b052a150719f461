// What is measured of an allocator, one number for each repetition, and what can be said of two
// such rows of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tide::replay {

class Figure {
 public:
  void add(double sample) { samples_.push_back(sample); }
  bool is_empty() const { return samples_.empty(); }
  const std::vector<double>& samples() const { return samples_; }

  double median() const;
  // Where the median of very many repetitions lies, with 95 % confidence or what comes nearest:
  // with seven or fewer the least and the most.
  double low() const;
  double high() const;

 private:
  std::vector<double> samples_;
};

enum class FigureId : uint8_t {
  kWall,
  kCpu,
  kAllocator,
  kCallsPerSecond,
  kRssMax,
  kVmMax,
  kRssOverLive,
  kPageFloorOverLive,
  kMinorFaults,
  kMajorFaults,
  kHarness,
  kParallelism,
  kP50,
  kP99,
  kP999,
  kLongest,
};
inline constexpr size_t kFigureCount = 16;

struct FigureName {
  std::string_view key;         // in JSON
  std::string_view short_name;  // for --fail-if
  bool more_is_better;
};
inline constexpr FigureName kFigureNames[kFigureCount] = {
    {"wall_ns", "wall", false},
    {"cpu_ns", "cpu", false},
    {"allocator_ns", "allocator", false},
    {"calls_per_second", "rate", true},
    {"rss_max_bytes", "rss", false},
    {"vm_max_bytes", "vm", false},
    {"rss_over_live", "rss_over_live", false},
    {"page_floor_over_live", "page_floor", false},
    {"minor_faults", "faults", false},
    {"major_faults", "major_faults", false},
    {"harness_bytes", "harness", false},
    {"parallelism", "parallelism", true},
    {"p50_ns", "p50", false},
    {"p99_ns", "p99", false},
    {"p999_ns", "p999", false},
    {"max_ns", "max", false},
};

// By its short name or its key.
std::optional<FigureId> find_figure(std::string_view name);

// Mann-Whitney's U, two-sided, exact where there are no ties and the rows are short: how likely two
// rows of the same distribution differ in rank so much. 1 where one is empty.
double rank_test(const std::vector<double>& a, const std::vector<double>& b);
// The least value that rank_test() can have for rows of such lengths.
double least_of_rank_test(size_t a, size_t b);

}  // namespace tide::replay
