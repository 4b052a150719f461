// System calls that a stopped child makes for us, and where it goes on afterwards.
#include "walk/injected_calls.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/error.h"
#include "walk/redirection.h"

namespace tide::walk {
namespace {

constexpr uint64_t kCode = 0x1122334455667788;

// A child that waits for a word in a pipe, with a page of code that nobody executes, at the same
// address as here.
class Child {
 public:
  explicit Child(void (*prepare)() = [] {}) {
    room_ = static_cast<uint64_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    *room_ = kCode;
    mprotect(room_, 4096, PROT_READ | PROT_EXEC);
    EXPECT_EQ(pipe(to_), 0);
    EXPECT_EQ(pipe(from_), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prepare();
      run();
    }
    expect_word('r');
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    munmap(room_, 4096);
    for (const int end : {to_[0], to_[1], from_[0], from_[1]}) close(end);
  }

  int pid() const { return pid_; }
  uint64_t room() const { return reinterpret_cast<uint64_t>(room_); }

  // It answers, and ends as it should: it is where it was.
  void expect_to_go_on() {
    EXPECT_EQ(write(to_[1], "g", 1), 1);
    expect_word('a');
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
    pid_ = 0;
  }

 private:
  [[noreturn]] void run() {
    char word = 'r';
    if (write(from_[1], &word, 1) != 1) _exit(1);
    // Not begun anew by the C library: an interrupted call must not be seen as such.
    if (syscall(SYS_read, to_[0], &word, 1) != 1 || word != 'g') _exit(2);
    word = 'a';
    if (write(from_[1], &word, 1) != 1) _exit(3);
    _exit(*room_ == kCode ? 7 : 4);
  }
  void expect_word(char expected) {
    char word = 0;
    EXPECT_EQ(read(from_[0], &word, 1), 1);
    EXPECT_EQ(word, expected);
  }

  uint64_t* room_;
  int to_[2];
  int from_[2];
  int pid_ = 0;
};

TEST(InjectedCalls, AnswerAsTheKernelDoes) {
  Child child;
  {
    const LiveTarget target(child.pid(), true);
    InjectedCalls calls(target, child.room());
    EXPECT_EQ(calls.call(SYS_getpid), child.pid());
    EXPECT_EQ(calls.call(SYS_getppid), getpid());
    EXPECT_EQ(calls.call(SYS_close, 987654), -EBADF);
  }
  child.expect_to_go_on();
}

TEST(InjectedCalls, MakeMemoryThatCanBeWritten) {
  Child child;
  {
    const LiveTarget target(child.pid(), true);
    int64_t memory;
    {
      InjectedCalls calls(target, child.room());
      memory = calls.call(SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          ~uint64_t{0}, 0);
    }
    ASSERT_GT(memory, 0);
    const auto at = static_cast<uint64_t>(memory);
    poke(target, at + 4096, 0x8877665544332211);
    EXPECT_EQ(peek(target, at + 4096), 0x8877665544332211);
    EXPECT_EQ(peek(target, at), 0u);
    InjectedCalls calls(target, child.room());
    EXPECT_EQ(calls.call(SYS_munmap, at, 8192), 0);
    EXPECT_THROW(peek(target, at), host::Error);
  }
  child.expect_to_go_on();
}

TEST(InjectedCalls, LeaveCodeAndSignalMaskAsTheyWere) {
  Child child([] {
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigprocmask(SIG_BLOCK, &some, nullptr);
  });
  const LiveTarget target(child.pid(), true);
  for (int i = 0; i < 3; ++i) {
    InjectedCalls calls(target, child.room());
    EXPECT_NE(peek(target, child.room()), kCode);
    uint64_t mask = 0;
    // Into memory of the child's own: its stack.
    const uint64_t place = (target.threads().front().stack_pointer - 4096) & ~uint64_t{7};
    EXPECT_EQ(calls.call(SYS_rt_sigprocmask, SIG_BLOCK, 0, place, sizeof mask), 0);
    EXPECT_NE(peek(target, place) & (uint64_t{1} << (SIGTERM - 1)), 0u);
  }
  EXPECT_EQ(peek(target, child.room()), kCode);
}

TEST(InjectedCalls, SayThatTheProcessHasEnded) {
  Child child;
  const LiveTarget target(child.pid(), true);
  InjectedCalls calls(target, child.room());
  EXPECT_THROW(calls.call(SYS_exit_group, 9), host::Error);
}

TEST(Redirection, RefusesAProcessThatIsNotOnTide) {
  Child child;
  {
    const LiveTarget target(child.pid(), true);
    try {
      const Redirection redirection(target);
      FAIL() << "it found a recorder";
    } catch (const host::Error& error) {
      EXPECT_NE(std::strstr(error.what(), "does not run on Tide"), nullptr) << error.what();
    }
  }
  child.expect_to_go_on();
}

}  // namespace
}  // namespace tide::walk
