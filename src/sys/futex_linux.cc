#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <climits>

#include "sys/errno_keeper.h"
#include "sys/futex.h"

namespace tide::sys {

void futex_wait(std::atomic<uint32_t>* word, uint32_t expected) {
  const ErrnoKeeper keeper;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

namespace {

void wake(std::atomic<uint32_t>* word, int most) {
  const ErrnoKeeper keeper;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, nullptr, nullptr, 0);
}

}  // namespace

void futex_wake_one(std::atomic<uint32_t>* word) { wake(word, 1); }
void futex_wake_all(std::atomic<uint32_t>* word) { wake(word, INT_MAX); }

void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace tide::sys
