#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
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

void futex_wait_shared(std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns) {
  const ErrnoKeeper keeper;
  constexpr uint64_t kSecond = 1'000'000'000;
  const timespec timeout{static_cast<time_t>(timeout_ns / kSecond),
                         static_cast<long>(timeout_ns % kSecond)};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

void futex_wake_shared(std::atomic<uint32_t>* word) {
  const ErrnoKeeper keeper;
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace tide::sys
