#include "replay/fidelity.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace tide::replay {
namespace {

namespace fs = std::filesystem;

bool is_allocator(const Allocator& allocator, const fs::path& recorded) {
  if (!allocator.options.empty() || recorded.empty()) return false;
  if (allocator.library.empty()) return recorded.filename().string().starts_with("libc.so");
  if (fs::path(allocator.library).filename() == recorded.filename()) return true;
  std::error_code error;
  return fs::equivalent(allocator.library, recorded, error);
}

// The replay's RSS when it was at that time, from the points around.
double rss_at(const std::vector<TimelinePoint>& timeline, uint64_t time) {
  const auto after =
      std::lower_bound(timeline.begin(), timeline.end(), time,
                       [](const TimelinePoint& point, uint64_t t) { return point.time_ns < t; });
  if (after == timeline.end()) return static_cast<double>(timeline.back().rss_bytes);
  if (after == timeline.begin()) return static_cast<double>(after->rss_bytes);
  const auto before = after - 1;
  const auto span = static_cast<double>(after->time_ns - before->time_ns);
  const double share = span == 0 ? 1 : static_cast<double>(time - before->time_ns) / span;
  const auto from = static_cast<double>(before->rss_bytes);
  return from + (static_cast<double>(after->rss_bytes) - from) * share;
}

void compare_memory(const WorkloadReader& workload, const AllocatorResult& run,
                    Fidelity& fidelity) {
  const auto& samples = workload.samples();
  if (samples.empty() || run.timeline.empty()) return;
  // What is no heap: of anonymous memory what there was at the first sample beyond the replay's.
  const double beside = std::max(0.0, static_cast<double>(samples.front().anonymous_bytes) -
                                          rss_at(run.timeline, samples.front().time_ns));
  double most_recorded = 0;
  double other_at_most = 0;
  double recorded = 0;
  double difference = 0;
  for (const format::WorkloadSample& sample : samples) {
    const auto rss = static_cast<double>(sample.rss_bytes);
    const double other = rss - static_cast<double>(sample.anonymous_bytes) + beside;
    if (rss > most_recorded) {
      most_recorded = rss;
      other_at_most = other;
    }
    recorded += rss;
    difference += std::abs(rss_at(run.timeline, sample.time_ns) + other - rss);
  }
  most_recorded = std::max(most_recorded, static_cast<double>(workload.head().rss_max_bytes));
  const double most_replayed = run.figure(FigureId::kRssMax).median() + other_at_most;
  fidelity.rss_max_recorded = static_cast<uint64_t>(most_recorded);
  fidelity.rss_max_replayed = static_cast<uint64_t>(most_replayed);
  if (recorded <= 0) return;
  fidelity.rss_max_error = (most_replayed - most_recorded) / most_recorded;
  fidelity.rss_curve_error = difference / recorded;
}

}  // namespace

std::optional<Fidelity> fidelity(const WorkloadReader& workload, const Survey& survey,
                                 const Plan& plan, const ReplayResult& result) {
  const auto run =
      std::find_if(result.runs.begin(), result.runs.end(), [&](const AllocatorResult& each) {
        return each.is_ok() && is_allocator(each.allocator, workload.allocator());
      });
  if (run == result.runs.end()) return std::nullopt;
  const format::WorkloadHead& head = workload.head();
  const uint64_t copies = plan.settings.copies;
  Fidelity fidelity;
  fidelity.allocator = run->allocator.label;
  fidelity.counts_equal = true;
  for (size_t i = 0; i < format::kCallCount; ++i) {
    fidelity.counts_equal &= run->calls[i] == survey.calls[i] * copies;
  }
  fidelity.curve_points = survey.window_live.size();
  fidelity.live_equal =
      run->live_curve_equal &&
      run->live_blocks_at_end == static_cast<int64_t>(head.live_blocks * copies) &&
      run->live_bytes_at_end == static_cast<int64_t>(head.live_bytes * copies);
  if (copies == 1) compare_memory(workload, *run, fidelity);
  fidelity.parallelism_recorded = recorded_parallelism(head);
  fidelity.parallelism_replayed = run->figure(FigureId::kParallelism).median();
  return fidelity;
}

}  // namespace tide::replay
