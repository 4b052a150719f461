#include "report/downsample.h"

#include <algorithm>

namespace tide::report {

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               size_t most) {
  if (points.size() <= most) return points;
  const size_t steps = (most - 2) / 2;
  const double begin = points.front().first;
  const double width = points.back().first - begin;
  const auto step_of = [&](double x) {
    if (!(width > 0)) return size_t{0};
    const auto step = static_cast<size_t>((x - begin) / width * static_cast<double>(steps));
    return std::min(step, steps - 1);
  };
  std::vector<std::pair<double, double>> kept = {points.front()};
  const size_t last = points.size() - 1;
  for (size_t i = 1; i < last;) {
    const size_t step = step_of(points[i].first);
    size_t low = i;
    size_t high = i;
    for (; i < last && step_of(points[i].first) == step; ++i) {
      if (points[i].second < points[low].second) low = i;
      if (points[i].second > points[high].second) high = i;
    }
    kept.push_back(points[std::min(low, high)]);
    if (low != high) kept.push_back(points[std::max(low, high)]);
  }
  kept.push_back(points.back());
  return kept;
}

}  // namespace tide::report
