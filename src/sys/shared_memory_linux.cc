#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/errno_keeper.h"
#include "sys/memory_calls.h"
#include "sys/shared_memory.h"

namespace tide::sys {

int open_shared(const char* path) {
  const ErrnoKeeper keeper;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
}

void* map_shared(int descriptor, size_t bytes) {
  const ErrnoKeeper keeper;
  void* const memory =
      direct_mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void unmap_shared(void* memory, size_t bytes) {
  const ErrnoKeeper keeper;
  direct_munmap(memory, bytes);
}

void* map_wiped_on_fork(size_t bytes, bool* wiped) {
  const ErrnoKeeper keeper;
  void* const memory =
      direct_mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  *wiped = direct_madvise(memory, bytes, MADV_WIPEONFORK) == 0 && minds_advice(memory);
  return memory;
}

void run_in_forked_child(void (*callback)()) {
  const ErrnoKeeper keeper;
  pthread_atfork(nullptr, nullptr, callback);
}

}  // namespace tide::sys
