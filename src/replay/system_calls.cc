#include "replay/system_calls.h"

// The C library's header and the kernel's exclude each other.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

namespace tide::replay {
namespace {

constexpr std::pair<uint64_t, const char*> kNames[] = {
    {SYS_mmap, "mmap"},          {SYS_munmap, "munmap"},         {SYS_mremap, "mremap"},
    {SYS_madvise, "madvise"},    {SYS_mprotect, "mprotect"},     {SYS_brk, "brk"},
    {SYS_futex, "futex"},        {SYS_membarrier, "membarrier"}, {SYS_sched_yield, "sched_yield"},
    {SYS_nanosleep, "nanosleep"}};

bool is_event(int status, int event) { return status >> 8 == (SIGTRAP | (event << 8)); }

// Ends the process when it takes too long, so that who waits for it need not look at a clock.
class Watchdog {
 public:
  Watchdog(pid_t pid, const std::function<bool()>& is_late)
      : thread_([this, pid, is_late] {
          while (!is_over_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            if (!is_over_ && is_late()) {
              kill(pid, SIGKILL);
              return;
            }
          }
        }) {}
  ~Watchdog() {
    is_over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace

bool SystemCallCounter::attach(const PlayerProcess& player) {
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  return ptrace(PTRACE_SEIZE, player.pid(), nullptr, kOptions) == 0;
}

int SystemCallCounter::follow(PlayerProcess& player, uint64_t begin, uint64_t end,
                              const std::function<bool()>& is_late) {
  const Watchdog watchdog(player.pid(), is_late);
  for (;;) {
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) {
      if (errno == EINTR) continue;
      return 0;
    }
    if (!WIFSTOPPED(status)) {
      if (thread != player.pid()) continue;
      player.note_end(status);
      return status;
    }
    long signal = 0;
    if (is_event(status, PTRACE_EVENT_SECCOMP)) {
      count(thread, begin, end);
    } else if (status >> 16 == 0) {
      signal = WSTOPSIG(status);
    }
    ptrace(PTRACE_CONT, thread, nullptr, signal);
  }
}

void SystemCallCounter::count(pid_t thread, uint64_t begin, uint64_t end) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 ||
      info.op != PTRACE_SYSCALL_INFO_SECCOMP) {
    return;
  }
  const uint64_t number = info.seccomp.nr;
  const uint64_t argument = info.seccomp.args[0];
  if (number == SYS_futex && begin <= argument && argument < end) return;
  ++counts_[number];
}

std::map<std::string, uint64_t> SystemCallCounter::counts() const {
  std::map<std::string, uint64_t> named;
  for (const auto& [number, name] : kNames) {
    const auto found = counts_.find(number);
    if (found != counts_.end()) named[name] = found->second;
  }
  return named;
}

}  // namespace tide::replay
