#include <signal.h>
#include <atomic>

#include "sys/errno_keeper.h"
#include "sys/fault.h"

namespace tide::sys {

namespace {

void (*g_look)(uintptr_t address) = nullptr;
struct sigaction g_previous;
constexpr int kSignals = 64;  // of Linux

void on_fault(int number, siginfo_t* info, void* context) {
  const ErrnoKeeper keeper;
  // Only the kernel knows an address; kill(2) and raise(3) have none.
  if (info->si_code > 0) g_look(reinterpret_cast<uintptr_t>(info->si_addr));
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    g_previous.sa_sigaction(number, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    g_previous.sa_handler(number);
  } else {
    // The access is repeated and ends the process as if we had never been here. A signal that was
    // sent comes again, too.
    sigaction(number, &g_previous, nullptr);
    if (info->si_code <= 0) raise(number);
  }
}

}  // namespace

void watch_faults(void (*look)(uintptr_t address)) {
  const ErrnoKeeper keeper;
  g_look = look;
  struct sigaction previous;
  if (sigaction(SIGSEGV, nullptr, &previous) != 0) return;
  // The kernel fills in no more of the mask than it has signals; the C library leaves in the rest
  // what its stack had. Who looks for pointers must not find any here.
  sigset_t mask;
  sigemptyset(&mask);
  for (int number = 1; number <= kSignals; ++number) {
    if (sigismember(&previous.sa_mask, number) == 1) sigaddset(&mask, number);
  }
  previous.sa_mask = mask;
  g_previous = previous;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | (g_previous.sa_flags & SA_NODEFER);
  action.sa_mask = g_previous.sa_mask;
  sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace tide::sys
