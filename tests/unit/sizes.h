// Sizes that tests speak of.
#pragma once

#include <cstddef>

namespace tide::tests {

inline constexpr size_t kMiB = size_t{1} << 20;

}  // namespace tide::tests
