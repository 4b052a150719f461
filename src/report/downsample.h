// Curves thinned to what a screen can show, without losing a peak or a valley.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace tide::report {

inline constexpr size_t kMostPoints = 2000;

// At most `most` (at least 4) of the points, x ascending: the first, the last, and of as many equal
// steps of x as it takes the lowest and the highest.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               size_t most);

}  // namespace tide::report
