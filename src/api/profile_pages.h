// What is known of the pages of sampled blocks, for profiles of fragmentation and residency.
#pragma once

#include <cstddef>

#include "layout/profile_table.h"

namespace tide::api {

// As it is now; other threads may be at these pages. `page_bytes`: of the system.
layout::SampledPages pages_of_sample(const layout::SampledBlock& sample, size_t page_bytes);

}  // namespace tide::api
