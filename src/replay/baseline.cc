#include "replay/baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "host/error.h"

namespace tide::replay {
namespace {

constexpr double kSignificance = 0.05;

std::string names_of_figures() {
  std::string names;
  for (const FigureName& name : kFigureNames) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name.short_name);
  }
  return names;
}

double median_of(const std::vector<double>& samples) {
  Figure figure;
  for (const double sample : samples) figure.add(sample);
  return figure.median();
}

}  // namespace

Condition Condition::parse(const std::string& text) {
  const auto fail = [&](const std::string& what) {
    return host::Error(fmt::format("--fail-if: '{}' {}", text, what), host::kExitUsage);
  };
  const size_t sign = text.find_first_of("<>");
  if (sign == std::string::npos) throw fail("is not of the form 'rss>+3%' or 'rate<-5%'");
  const std::optional<FigureId> figure = find_figure(text.substr(0, sign));
  if (!figure) throw fail("has no figure that is known: " + names_of_figures());
  const bool grows = text[sign] == '>';
  const char* const begin = text.c_str() + sign + 1;
  char* end = nullptr;
  const double number = std::strtod(begin, &end);
  if (end == begin || std::string(end) != "%" || !std::isfinite(number) ||
      (grows ? number < 0 : number > 0)) {
    throw fail(grows ? "wants a growth behind '>', as +3%" : "wants a loss behind '<', as -5%");
  }
  return {text, *figure, grows, std::abs(number) / 100};
}

double significance(size_t before, size_t now) {
  return std::max(kSignificance, least_of_rank_test(before, now) * (1 + 1e-9));
}

Comparison compare(const Condition& condition, const std::vector<double>& before,
                   const std::vector<double>& now) {
  if (before.empty() || now.empty()) return {Verdict::kNotMeasured, 0, 0, 1};
  Comparison result{Verdict::kWithin, median_of(before), median_of(now), rank_test(before, now)};
  const double change = condition.grows ? result.now - result.before : result.before - result.now;
  if (result.chance > significance(before.size(), now.size())) {
    // A single sample each tells nothing of chance: then the numbers count as they are.
    const bool can_tell = before.size() > 1 && now.size() > 1;
    if (can_tell) return result.verdict = Verdict::kNoDifference, result;
  }
  if (change > condition.share * std::abs(result.before)) result.verdict = Verdict::kFails;
  return result;
}

}  // namespace tide::replay
