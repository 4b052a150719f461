#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "base/align.h"
#include "base/compiler.h"
#include "base/racy.h"
#include "sys/background.h"
#include "sys/errno_keeper.h"
#include "sys/process.h"
#include "sys/thread.h"
#include "sys/thread_pointer.h"

namespace tide::sys {

namespace {

// Static, so that starting it maps nothing; not resident until used.
constexpr size_t kStackBytes = size_t{64} << 10;
constexpr size_t kThreadLocalBytes = size_t{64} << 10;
alignas(64) TIDE_LARGE char g_stack[kStackBytes];
// The C library reaches errno from the thread pointer, which lies in the middle.
alignas(64) TIDE_LARGE char g_thread_local[2 * kThreadLocalBytes];

// The kernel sets it when the thread begins and clears it when its stack is free again.
std::atomic<int32_t> g_thread{0};
void (*g_run)() = nullptr;

bool is_errno_in_reach() {
  const auto distance = reinterpret_cast<char*>(&errno) - thread_pointer();
  return distance > -static_cast<ptrdiff_t>(kThreadLocalBytes) &&
         distance + static_cast<ptrdiff_t>(sizeof errno) <
             static_cast<ptrdiff_t>(kThreadLocalBytes);
}

// A process that has shut itself in may be killed for a clone that its filter does not expect. Such
// filters refuse to open files, with an error.
bool is_shut_in() {
  // Not the C library's calls: those are cancellation points.
  const long file = syscall(SYS_openat, AT_FDCWD, "/proc/self/comm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  syscall(SYS_close, file);
  return false;
}

// Valgrind runs all threads on its own: the helper's filter would forbid it what it lives on. It
// preloads a library of this name into whatever it runs.
bool is_under_valgrind() {
  return environment_value("LD_PRELOAD").find("/vgpreload_") != std::string_view::npos;
}

// All of the kernel's signals, also those that the C library keeps to itself.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    const uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
  }
  ~AllSignalsBlocked() {
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  static constexpr int SIG_SETMASK = 2;
  uint64_t before_ = 0;
};

// A program that gives up privileges after the helper was started means all of its threads, and the
// C library, which would have to tell them, does not know of this one. So the helper can do nothing
// with them: what is not needed to give memory back fails with EPERM (seccomp(2); without it
// the helper runs as it is).
void give_up_all_else() {
#if defined(__x86_64__)
  constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
  constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif
  constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
  constexpr uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr uint16_t kReturn = BPF_RET | BPF_K;
  constexpr uint32_t kAllowed[] = {
      SYS_madvise,         SYS_munmap,        SYS_futex,           SYS_membarrier,
      SYS_clock_nanosleep, SYS_clock_gettime, SYS_process_madvise, SYS_exit};
  constexpr auto kCount = static_cast<uint8_t>(std::size(kAllowed));
  sock_filter program[kCount + 5] = {
      {kLoad, 0, 0, offsetof(seccomp_data, arch)},
      {kEqual, 0, kCount + 1, kArchitecture},
      {kLoad, 0, 0, offsetof(seccomp_data, nr)},
  };
  for (uint8_t i = 0; i < kCount; ++i) {
    program[3 + i] = {kEqual, static_cast<uint8_t>(kCount - i), 0, kAllowed[i]};
  }
  program[kCount + 3] = {kReturn, 0, 0, SECCOMP_RET_ERRNO | EPERM};
  program[kCount + 4] = {kReturn, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog filter{static_cast<uint16_t>(std::size(program)), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
  }
}

int enter(void*) {
  prctl(PR_SET_NAME, "tide", 0, 0, 0);
  // Not more urgent than the program's own threads, whatever the one was that started it.
  const sched_param idle_enough{};
  syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &idle_enough);
  give_up_all_else();
  g_run();
  return 0;
}

}  // namespace

bool start_background(void (*run)()) {
  if (!kKnowsThreadPointer || base::kKnowsEveryThread) return false;
  if (g_thread.load(std::memory_order_acquire) != 0) return false;
  const ErrnoKeeper keeper;
  bool started = false;
  // In a child of vfork it would be that child's, and end with it.
  if (is_errno_in_reach() && lasting_thread_number() != 0 && !is_under_valgrind() &&
      !is_shut_in()) {
    g_run = run;
    char* const middle = g_thread_local + kThreadLocalBytes;
    prepare_thread_pointer(middle);
    constexpr int kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                           CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                           CLONE_CHILD_CLEARTID;
    const AllSignalsBlocked blocked;
    started =
        clone(enter, g_stack + kStackBytes, kFlags, nullptr, &g_thread, middle, &g_thread) > 0;
  }
  return started;
}

void forget_background() { g_thread.store(0, std::memory_order_relaxed); }

bool is_in_background() {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here - reinterpret_cast<uintptr_t>(g_stack) < kStackBytes;
}

void sleep_for(uint64_t nanoseconds) {
  const ErrnoKeeper keeper;
  constexpr uint64_t kSecond = 1'000'000'000;
  timespec left{static_cast<time_t>(nanoseconds / kSecond),
                static_cast<long>(nanoseconds % kSecond)};
  // Not the C library's: that one is a cancellation point.
  syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, nullptr);
}

}  // namespace tide::sys
