#include "sys/memory_calls.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace tide::sys {

void* direct_mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
                  int64_t offset) {
#if defined(SYS_mmap)
  const long result = syscall(SYS_mmap, address, bytes, protection, flags, descriptor, offset);
#else
  const long result = syscall(SYS_mmap2, address, bytes, protection, flags, descriptor,
                              static_cast<long>(offset / 4096));
#endif
  return reinterpret_cast<void*>(result);
}

int direct_munmap(void* address, size_t bytes) {
  return static_cast<int>(syscall(SYS_munmap, address, bytes));
}

void* direct_mremap(void* address, size_t old_bytes, size_t new_bytes, int flags, void* to) {
  return reinterpret_cast<void*>(syscall(SYS_mremap, address, old_bytes, new_bytes, flags, to));
}

int direct_madvise(void* address, size_t bytes, int advice) {
  return static_cast<int>(syscall(SYS_madvise, address, bytes, advice));
}

bool minds_advice(void* memory) {
  constexpr int kNoAdvice = 0x7fff;
  return direct_madvise(memory, 1, kNoAdvice) != 0;
}

}  // namespace tide::sys
