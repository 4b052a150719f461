#include "replay/survey.h"

#include <algorithm>
#include <cmath>

namespace tide::replay {
namespace {

constexpr size_t kBins = size_t{1} << 16;
// A window has at most about so many operations, and so much of the peak is allocated in it: what
// can live together by chance alone.
constexpr double kOperations = 8'000;
constexpr double kShareOfPeak = 0.01;
constexpr size_t kMostWindows = 20'000;
// Threads wait for each other at the end of each window: it must be worth it.
constexpr uint64_t kLeastOperations = 400;

}  // namespace

Survey survey(const WorkloadReader& workload, const std::function<void(uint64_t)>& progress) {
  constexpr uint64_t kReportEvery = 1 << 20;
  Survey result;
  const format::WorkloadHead& head = workload.head();
  const double peak = std::max<double>(1.0, static_cast<double>(head.peak_bytes));
  const double bin_of_ns = static_cast<double>(kBins) / (static_cast<double>(head.duration_ns) + 1);
  std::vector<double> work(kBins);
  uint64_t done = 0;
  for (size_t thread = 0; thread < workload.threads().size(); ++thread) {
    auto operations = workload.operations(thread);
    format::WorkloadOperation operation;
    uint64_t time = 0;
    while (operations.next(operation)) {
      time += operation.delta_ns;
      ++result.calls[static_cast<size_t>(operation.call)];
      const auto bin = static_cast<size_t>(static_cast<double>(time) * bin_of_ns);
      work[std::min(bin, kBins - 1)] +=
          1 / kOperations + static_cast<double>(operation.size) / (peak * kShareOfPeak);
      if (++done % kReportEvery == 0) progress(done);
    }
  }

  double total = 0;
  for (const double bin : work) total += bin;
  const auto most = std::min<size_t>(kMostWindows, head.operations / kLeastOperations + 1);
  const auto windows = std::clamp<size_t>(static_cast<size_t>(std::ceil(total)), 1, most);
  const double each = total / static_cast<double>(windows);
  double filled = 0;
  for (size_t bin = 0; bin + 1 < kBins; ++bin) {
    filled += work[bin];
    if (filled < each) continue;
    filled -= each;
    if (filled > each) filled = 0;  // the bin is more than a window by itself
    result.window_ends.push_back(static_cast<uint64_t>(static_cast<double>(bin + 1) / bin_of_ns) +
                                 1);
  }
  result.window_ends.push_back(UINT64_MAX);
  return result;
}

uint32_t window_of(const std::vector<uint64_t>& ends, uint64_t time) {
  return static_cast<uint32_t>(std::upper_bound(ends.begin(), ends.end(), time) - ends.begin());
}

}  // namespace tide::replay
