#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "host/error.h"
#include "walk/injected_calls.h"

namespace tide::walk {
namespace {

constexpr uint64_t kSystemCall = 0x050f;  // the instruction, low byte first
constexpr uint64_t kTwoBytes = 0xffff;
constexpr int kCallStop = SIGTRAP | 0x80;

}  // namespace

InjectedCalls::InjectedCalls(const LiveTarget& target, uint64_t room)
    : target_(target), room_(room) {
  choose_thread();
  code_ = peek(target_, room_);
  const uint64_t all = ~uint64_t{0};
  if (ptrace(PTRACE_GETSIGMASK, thread_, sizeof signals_, &signals_) != 0 ||
      ptrace(PTRACE_SETSIGMASK, thread_, sizeof all, &all) != 0) {
    fail_ended(target_);
  }
  // A sandbox may end the process for a call that it does not know; where we may, it looks away.
  constexpr long kOptions = PTRACE_O_TRACESYSGOOD;
  if (ptrace(PTRACE_SETOPTIONS, thread_, nullptr, kOptions | PTRACE_O_SUSPEND_SECCOMP) != 0) {
    ptrace(PTRACE_SETOPTIONS, thread_, nullptr, kOptions);
  }
  poke(target_, room_, (code_ & ~kTwoBytes) | kSystemCall);
}

// One that waits in the kernel is in no sequence of instructions that must not be interrupted.
void InjectedCalls::choose_thread() {
  for (const Thread& thread : target_.threads()) {
    user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread.id, nullptr, &registers) != 0) continue;
    const bool waits = static_cast<int64_t>(registers.orig_rax) >= 0;
    if (thread_ != 0 && !waits) continue;
    thread_ = thread.id;
    registers_ = registers;
    if (waits) return;
  }
  if (thread_ == 0) fail_ended(target_);
}

// Until the thread stops again.
void InjectedCalls::go_on(int request) {
  int status = 0;
  if (ptrace(static_cast<__ptrace_request>(request), thread_, nullptr, nullptr) != 0) {
    fail_ended(target_);
  }
  while (waitpid(thread_, &status, __WALL) < 0) {
    if (errno != EINTR) fail_ended(target_);
  }
  if (!WIFSTOPPED(status)) fail_ended(target_);
  // Somebody stops the process (SIGSTOP): that holds when we are gone.
  if (request == PTRACE_SYSCALL && WSTOPSIG(status) != kCallStop) go_on(request);
}

int64_t InjectedCalls::call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                            uint64_t e, uint64_t f) {
  user_regs_struct registers = registers_;
  registers.rip = room_;
  registers.rax = number;
  registers.orig_rax = ~uint64_t{0};  // no call that was interrupted begins anew now
  registers.rdi = a;
  registers.rsi = b;
  registers.rdx = c;
  registers.r10 = d;
  registers.r8 = e;
  registers.r9 = f;
  if (ptrace(PTRACE_SETREGS, thread_, nullptr, &registers) != 0) fail_ended(target_);
  go_on(PTRACE_SYSCALL);
  go_on(PTRACE_SYSCALL);
  if (ptrace(PTRACE_GETREGS, thread_, nullptr, &registers) != 0) fail_ended(target_);
  return static_cast<int64_t>(registers.rax);
}

InjectedCalls::~InjectedCalls() {
  try {
    poke(target_, room_, code_);
    // Stopped as it was found: only from there the kernel begins an interrupted call anew.
    ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr);
    go_on(PTRACE_CONT);
  } catch (const host::Error&) {
    return;  // the process has ended
  }
  ptrace(PTRACE_SETREGS, thread_, nullptr, &registers_);
  ptrace(PTRACE_SETSIGMASK, thread_, sizeof signals_, &signals_);
  ptrace(PTRACE_SETOPTIONS, thread_, nullptr, 0L);
}

}  // namespace tide::walk
