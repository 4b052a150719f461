#include "report/allocator_colors.h"

#include <algorithm>
#include <array>

namespace tide::report {
namespace {

// Of page/palette.js, for those who have none of their own: first what seldom runs, last what is
// like another one.
constexpr std::array<int, 10> kOthers = {7, 6, 5, 4, 3, 2, 1, 0, 9, 8};
constexpr std::array<const char*, 7> kKnown = {"tide",     "glibc",     "jemalloc", "mimalloc",
                                               "tcmalloc", "tbbmalloc", "scudo"};

}  // namespace

int AllocatorColors::of(const std::string& label, const std::string& allocator) {
  const auto at = colors_.find(label);
  if (at != colors_.end()) return at->second;
  const auto is_used = [&](int color) {
    return std::any_of(colors_.begin(), colors_.end(),
                       [&](const auto& used) { return used.second == color; });
  };
  const auto known = std::find(kKnown.begin(), kKnown.end(), allocator);
  int color = static_cast<int>(known - kKnown.begin());
  // Several runs of one allocator: the first has its colour, the others what is free.
  if (known == kKnown.end() || is_used(color)) {
    const auto free = std::find_if_not(kOthers.begin(), kOthers.end(), is_used);
    color = free != kOthers.end() ? *free : kOthers[colors_.size() % kOthers.size()];
  }
  colors_.emplace(label, color);
  return color;
}

}  // namespace tide::report
