// The blocks that a workload holds, and what must be in them. In static memory: the system may
// refuse any while they are in use. Any thread may call.
#pragma once

#include <cstddef>

namespace tide::faults {

// All of these take a block or do without when there is no memory: a refusal must be null with
// ENOMEM. What is wrong otherwise ends the process with a line. After many refusals in a row
// nothing is asked for any more.
void take(size_t bytes);
void take_zeroed(size_t bytes);
void take_aligned(size_t alignment, size_t bytes);
// Resizes the newest block.
void resize_newest(size_t bytes);
// Checks and frees every block whose number is a multiple of `period`.
void drop_every(size_t period);
void drop_newest();
void drop_all();

// Asks again: the system works.
void take_heart();

void check_all();
size_t held_blocks();

[[noreturn]] void fail(const char* what, const void* block, size_t bytes);

}  // namespace tide::faults
