// Bytes of a huge page of x86-64 and of arm64 with 4 KiB pages.
#pragma once

#include <cstddef>

namespace tide::heap {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// In the mid zone 12 MiB may be resident in vain: as many classes begin slabs of half a MiB there.
inline constexpr size_t kHugeGrowthOfMid = 16;

}  // namespace tide::heap
