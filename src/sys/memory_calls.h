// The system calls about memory themselves, for who defines the C library's functions of those
// names: arguments, results and errno are those of the C library's functions.
#pragma once

#include <sys/mman.h>
#include <cstddef>
#include <cstdint>

namespace tide::sys {

void* direct_mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
                  int64_t offset);
int direct_munmap(void* address, size_t bytes);
void* direct_mremap(void* address, size_t old_bytes, size_t new_bytes, int flags, void* to);
int direct_madvise(void* address, size_t bytes, int advice);

// Whether the system's good word for madvise() of this memory counts: emulators of other machines
// agree to everything, and do little of it. Sets errno.
bool minds_advice(void* memory);

// Whether mremap() with these flags takes a fifth argument.
inline bool has_new_address(int mremap_flags) {
  constexpr int kFixed = 2;
  constexpr int kDontUnmap = 4;
  return (mremap_flags & (kFixed | kDontUnmap)) != 0;
}

}  // namespace tide::sys
