#include "replay/figures.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tide::replay {
namespace {

constexpr size_t kLongestExact = 30;

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

// How many ranks may be left out at each end, so that the median lies between with 95 %: the
// binomial distribution of how many samples are below it.
size_t ranks_to_leave(size_t count) {
  double probability = std::pow(0.5, static_cast<double>(count));
  double below = 0;
  for (size_t rank = 0; rank < count / 2; ++rank) {
    below += probability;
    if (2 * below > 0.05) return rank == 0 ? 0 : rank - 1;
    probability *= static_cast<double>(count - rank) / static_cast<double>(rank + 1);
  }
  return count / 2;
}

// In how many ways `a` of the ranks 1 to a + b make each value of U; by the usual recursion.
std::vector<double> ways_of_u(size_t a, size_t b) {
  // ways[i] for (a', b'): the largest rank is of the one row or of the other.
  std::vector<std::vector<double>> row(b + 1);
  for (auto& each : row) each = {1};  // a' = 0
  for (size_t i = 1; i <= a; ++i) {
    std::vector<std::vector<double>> next(b + 1);
    next[0] = {1};
    for (size_t j = 1; j <= b; ++j) {
      next[j].assign(i * j + 1, 0);
      for (size_t u = 0; u < row[j].size(); ++u) next[j][u + j] += row[j][u];
      for (size_t u = 0; u < next[j - 1].size(); ++u) next[j][u] += next[j - 1][u];
    }
    row = std::move(next);
  }
  return row[b];
}

double exact(size_t a, size_t b, double u) {
  const std::vector<double> ways = ways_of_u(a, b);
  double all = 0;
  double tail = 0;
  for (size_t i = 0; i < ways.size(); ++i) {
    all += ways[i];
    if (static_cast<double>(i) <= u) tail += ways[i];
  }
  return std::min(1.0, 2 * tail / all);
}

}  // namespace

double Figure::median() const {
  if (samples_.empty()) return 0;
  const std::vector<double> values = sorted(samples_);
  const size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double Figure::low() const {
  return samples_.empty() ? 0 : sorted(samples_)[ranks_to_leave(samples_.size())];
}

double Figure::high() const {
  return samples_.empty() ? 0
                          : sorted(samples_)[samples_.size() - 1 - ranks_to_leave(samples_.size())];
}

std::optional<FigureId> find_figure(std::string_view name) {
  for (size_t i = 0; i < kFigureCount; ++i) {
    if (kFigureNames[i].short_name == name || kFigureNames[i].key == name) {
      return static_cast<FigureId>(i);
    }
  }
  return std::nullopt;
}

double rank_test(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return 1;
  double u = 0;  // pairs in which a's is the larger, ties by half
  bool has_ties = false;
  for (const double x : a) {
    for (const double y : b) {
      u += x > y ? 1 : x == y ? 0.5 : 0;
      has_ties |= x == y;
    }
  }
  const auto n = static_cast<double>(a.size());
  const auto m = static_cast<double>(b.size());
  u = std::min(u, n * m - u);
  if (!has_ties && std::max(a.size(), b.size()) <= kLongestExact) {
    return exact(a.size(), b.size(), u);
  }
  // By the normal distribution, corrected for ties and for continuity.
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::sort(all.begin(), all.end());
  double ties = 0;
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    while (end < all.size() && all[end] == all[i]) ++end;
    const auto length = static_cast<double>(end - i);
    ties += length * length * length - length;
    i = end;
  }
  const double total = n + m;
  const double variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)));
  if (variance <= 0) return 1;
  const double z = (n * m / 2 - u - 0.5) / std::sqrt(variance);
  return std::min(1.0, std::erfc(std::max(z, 0.0) / std::sqrt(2.0)));
}

double least_of_rank_test(size_t a, size_t b) { return a == 0 || b == 0 ? 1 : exact(a, b, 0); }

}  // namespace tide::replay
