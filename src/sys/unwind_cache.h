// Call stacks at a few nanoseconds a frame, without frame pointers: how far it is from one return
// address on the stack to the next is learned from the unwinder once for each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/frames.h"

namespace tide::sys {

// As capture_stack(), on a stack between `bounds`; on another one it is capture_stack(). No locks
// are waited for and nothing is allocated. Keeps errno.
size_t capture_known_stack(StackBounds bounds, uintptr_t* frames, size_t most,
                           uintptr_t outside = 0);

// After code has been unloaded: other code may come to its addresses.
void forget_known_stacks();

}  // namespace tide::sys
