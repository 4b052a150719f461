#include "report/allocator_colors.h"

#include <algorithm>
#include <array>

namespace tide::report {
namespace {

constexpr int kColors = 10;  // of page/palette.js
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
  // Several runs of one allocator: the first has its colour, the others what is free, unknown
  // allocators' colours first.
  if (known == kKnown.end() || is_used(color)) {
    const auto first = static_cast<int>(kKnown.size());
    color = first;
    for (int i = 0; i < kColors; ++i) {
      color = (first + i) % kColors;
      if (!is_used(color)) break;
    }
    if (is_used(color)) color = static_cast<int>(colors_.size()) % kColors;
  }
  colors_.emplace(label, color);
  return color;
}

}  // namespace tide::report
