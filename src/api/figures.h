// The heap's figures by name (layout/figures.def): one list for JSON, text and Prometheus.
#pragma once

#include <cstdint>
#include <string_view>

#include "heap/stats.h"

namespace tide::api {

struct Figure {
  std::string_view key;  // ends in the unit, unless it is a count
  uint64_t heap::Stats::*member;
  std::string_view meaning;
  std::string_view metric;  // the name in Prometheus, behind "tide_"; counters end in _total
};

inline constexpr Figure kFigures[] = {
#define TIDE_FIGURE(field, metric, meaning) {#field, &heap::Stats::field, meaning, metric},
#include "layout/figures.def"
#undef TIDE_FIGURE
};

inline bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         std::string_view(text.data() + text.size() - end.size(), end.size()) == end;
}

}  // namespace tide::api
