// Whether a replay is worse than an earlier one by more than is allowed, and by more than chance.
#pragma once

#include <string>
#include <vector>

#include "replay/figures.h"

namespace tide::replay {

// "rss>+3%": a figure, and by how much of its earlier value it may grow ('>') or shrink ('<').
struct Condition {
  std::string text;
  FigureId figure;
  bool grows;
  double share;  // 0.03

  // Throws host::Error for what is no such condition.
  static Condition parse(const std::string& text);
};

enum class Verdict {
  kNoDifference,  // the repetitions don't tell the two apart
  kWithin,        // they differ, as much as is allowed
  kFails,
  kNotMeasured,
};

struct Comparison {
  Verdict verdict;
  double before;  // medians
  double now;
  double chance;  // that the two differ so much by chance
};

// The chance below which a difference is one; with few repetitions the least that there can be.
double significance(size_t before, size_t now);

Comparison compare(const Condition& condition, const std::vector<double>& before,
                   const std::vector<double>& now);

}  // namespace tide::replay
