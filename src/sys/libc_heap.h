// Blocks of the C library's own malloc. A program on Tide may still hold some: taken before Tide
// was loaded, through __libc_malloc, or by a library with a malloc reached in another way. They go
// back to where they came from.
#pragma once

#include <cstddef>

namespace tide::sys {

// Usable bytes of the block at `p` if it is one of the C library's heap, else 0. Looks at the
// process's list of mappings before it reads anything near `p`, or has the kernel read where there
// is no such list, so any value is safe; slow. Keeps errno; is no cancellation point.
size_t libc_block_bytes(const void* p);

// `p` is a block of the C library's heap.
void libc_free(void* p);

}  // namespace tide::sys
