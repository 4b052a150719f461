#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/replay_report.h"

namespace tide::cli {

using replay::AllocatorResult;
using replay::FigureId;

namespace {

double wall(const AllocatorResult& run) { return run.figure(FigureId::kWall).median(); }
double rss(const AllocatorResult& run) { return run.figure(FigureId::kRssMax).median(); }

// Who stands in front of the sentence: Tide where it took part, else the fastest.
const AllocatorResult* find(const std::vector<AllocatorResult>& runs, std::string_view name) {
  for (const AllocatorResult& run : runs) {
    if (run.is_ok() && run.allocator.name == name) return &run;
  }
  return nullptr;
}

bool differ(const AllocatorResult& a, const AllocatorResult& b, FigureId id) {
  const auto& x = a.figure(id).samples();
  const auto& y = b.figure(id).samples();
  return replay::rank_test(x, y) <= std::max(0.05, replay::least_of_rank_test(x.size(), y.size()));
}

}  // namespace

std::string replay_sentence(const ReplayReport& report) {
  const std::vector<AllocatorResult>& runs = report.result.runs;
  const AllocatorResult* subject = find(runs, "tide");
  const AllocatorResult* base = find(runs, "glibc");
  for (const AllocatorResult& run : runs) {
    if (!run.is_ok()) continue;
    if (subject == nullptr && &run != base) subject = &run;
    if (base == nullptr && &run != subject) base = &run;
  }
  if (subject == nullptr && base != nullptr) std::swap(subject, base);
  if (subject == nullptr) return "no allocator came to the end of this workload";
  if (base == nullptr) {
    return fmt::format("{}: {:.1f} M calls/s on this workload", subject->allocator.label,
                       subject->figure(FigureId::kCallsPerSecond).median() / 1e6);
  }
  const double speed = wall(*base) / std::max(1.0, wall(*subject));
  std::string time = "as fast";
  if (differ(*subject, *base, FigureId::kWall)) {
    time = speed >= 1 ? fmt::format("{:.2f}x faster", speed)
                      : fmt::format("{:.2f}x slower", 1 / speed);
  }
  const double saved = 100 * (1 - rss(*subject) / std::max(1.0, rss(*base)));
  const std::string memory =
      std::abs(saved) < 0.5
          ? "as much memory"
          : fmt::format("{:.0f} % {} memory", std::abs(saved), saved > 0 ? "less" : "more");
  return fmt::format("{}: {}, {} {} {} on this workload", subject->allocator.label, time, memory,
                     std::abs(saved) < 0.5 ? "as" : "than", base->allocator.label);
}

std::vector<size_t> pareto_front(const replay::ReplayResult& result) {
  std::vector<size_t> front;
  for (size_t i = 0; i < result.runs.size(); ++i) {
    const AllocatorResult& run = result.runs[i];
    if (!run.is_ok()) continue;
    const bool is_beaten =
        std::any_of(result.runs.begin(), result.runs.end(), [&](const AllocatorResult& other) {
          return other.is_ok() && wall(other) <= wall(run) && rss(other) <= rss(run) &&
                 (wall(other) < wall(run) || rss(other) < rss(run));
        });
    if (!is_beaten) front.push_back(i);
  }
  return front;
}

}  // namespace tide::cli
