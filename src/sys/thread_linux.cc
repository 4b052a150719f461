#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>

#include "base/racy.h"
#include "sys/errno_keeper.h"
#include "sys/memory_calls.h"
#include "sys/thread.h"
#include "sys/thread_pointer.h"

// What C++ thread_local destructors use; libc's own since glibc 2.18. The last argument keeps the
// library that holds the callback from being unloaded: our own is linked with -z nodelete.
extern "C" int __cxa_thread_atexit_impl(void (*callback)(void*), void* argument, void* library)
    __attribute__((weak));
extern "C" void* __dso_handle;
// The C library's, since glibc 2.32: false from the first thread on, at least while there are two.
extern "C" char __libc_single_threaded __attribute__((weak));

namespace tide::sys {

namespace {

void (*g_in_child)() = nullptr;

// In a page that the kernel clears in a forked child (MADV_WIPEONFORK, Linux 4.14), but not in one
// that shares our memory (vfork). Null where there is no such thing.
std::atomic<std::atomic<bool>*> g_not_forked{nullptr};

}  // namespace

uintptr_t thread_token() {
  return reinterpret_cast<uintptr_t>(kKnowsThreadPointer ? thread_pointer()
                                                         : reinterpret_cast<char*>(&errno));
}

int32_t thread_number() { return static_cast<int32_t>(syscall(SYS_gettid)); }

// The C library tells its own number of a thread in the thread's clock: by the kernel's interface
// (clock_getcpuclockid(3), posix-timers.h) all but the three lowest bits are the number inverted. A
// child of vfork has its parent's.
int32_t lasting_thread_number() {
  const int32_t number = thread_number();
  clockid_t clock = 0;
  if (pthread_getcpuclockid(pthread_self(), &clock) != 0) return number;
  return ~(clock >> 3) == number ? number : 0;
}

bool thread_is_gone(int32_t number) {
  const ErrnoKeeper keeper;
  const bool gone = syscall(SYS_tgkill, getpid(), number, 0) != 0 && errno == ESRCH;
  return gone;
}

// sched_getcpu(3): a load where the C library has registered restartable sequences, else the vdso.
unsigned current_cpu() {
  const ErrnoKeeper keeper;
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : static_cast<unsigned>(cpu);
}

bool is_main_thread(int32_t number) { return number == getpid(); }

bool is_single_threaded() {
  return &__libc_single_threaded != nullptr && __libc_single_threaded != 0;
}

bool fence_all_threads() {
  // Linux 4.14; the numbers are the kernel's interface.
  constexpr int kPrivateExpedited = 1 << 3;
  constexpr int kRegisterPrivateExpedited = 1 << 4;
  // ThreadSanitizer does not know what it does.
  if (base::kThreadSanitizer) return false;
  const ErrnoKeeper keeper;
  bool done = syscall(SYS_membarrier, kPrivateExpedited, 0, 0) == 0;
  if (!done && errno == EPERM) {
    done = syscall(SYS_membarrier, kRegisterPrivateExpedited, 0, 0) == 0 &&
           syscall(SYS_membarrier, kPrivateExpedited, 0, 0) == 0;
  }
  return done;
}

bool at_thread_exit(void (*callback)(void*), void* argument) {
  if (__cxa_thread_atexit_impl == nullptr) return false;
  return __cxa_thread_atexit_impl(callback, argument, &__dso_handle) == 0;
}

void at_fork_in_child(void (*callback)()) {
  const int saved_errno = errno;
  g_in_child = callback;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const memory =
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED && madvise(memory, page, MADV_WIPEONFORK) == 0 && minds_advice(memory)) {
    auto* const not_forked = static_cast<std::atomic<bool>*>(memory);
    not_forked->store(true, std::memory_order_relaxed);
    // Other threads are in finish_fork() already: they see the flag and the callback set.
    g_not_forked.store(not_forked, std::memory_order_release);
  }
  pthread_atfork(nullptr, nullptr, [] {
    if (g_not_forked.load(std::memory_order_relaxed) == nullptr) {
      g_in_child();
    } else {
      finish_fork();
    }
  });
  errno = saved_errno;
}

bool finish_fork() {
  std::atomic<bool>* const not_forked = g_not_forked.load(std::memory_order_acquire);
  if (not_forked == nullptr || not_forked->exchange(true)) return false;
  g_in_child();
  return true;
}

}  // namespace tide::sys
