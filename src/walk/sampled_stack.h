// Where a live block was allocated, when the process was profiled and the block is one of its
// samples (layout/profile_table.h).
#pragma once

#include <cstdint>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::walk {

// Of the ProfileTable at `table`; without frames: the block is no sample, or the table cannot be
// read.
CallStack sampled_stack(const Target& target, uint64_t table, uint64_t block);

}  // namespace tide::walk
