// Memory that other processes see, and memory that forked children don't. Keeps errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::sys {

// For reading and writing; -1: not possible. Closed by exec.
int open_shared(const char* path);

// Maps the first `bytes` of the file behind `descriptor`, shared with all who do; null: refused.
void* map_shared(int descriptor, size_t bytes);
void unmap_shared(void* memory, size_t bytes);

// Memory that reads as zero in a forked child. Where the kernel can't do that (before Linux 4.14)
// `*wiped` is false, and run_in_forked_child() must see to it. Null: refused.
void* map_wiped_on_fork(size_t bytes, bool* wiped);

// In children of the C library's fork(), in the order of such registrations. May allocate.
void run_in_forked_child(void (*callback)());

}  // namespace tide::sys
