#include <sys/mman.h>

#include "sys/errno_keeper.h"
#include "sys/protection.h"

namespace tide::sys {

void* reserve(size_t bytes) {
  const ErrnoKeeper keeper;
  void* const result =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return result == MAP_FAILED ? nullptr : result;
}

bool deny_access(uintptr_t address, size_t bytes) {
  const ErrnoKeeper keeper;
  return mprotect(reinterpret_cast<void*>(address), bytes, PROT_NONE) == 0;
}

bool allow_access(uintptr_t address, size_t bytes) {
  const ErrnoKeeper keeper;
  return mprotect(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE) == 0;
}

}  // namespace tide::sys
