#include "sys/report.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include "base/check.h"
#include "base/text.h"
#include "sys/errno_keeper.h"

namespace tide::sys {

namespace {

constexpr size_t kLineBytes = 512;
constexpr size_t kSignalSetBytes = 8;  // the kernel's

bool g_began_without = false;

// The program began without stderr, and its descriptor has become that of a file of data.
bool is_not_stderr() {
  struct stat file;
  return g_began_without && fstat(STDERR_FILENO, &file) == 0 && S_ISREG(file.st_mode) &&
         (syscall(SYS_fcntl, STDERR_FILENO, F_GETFL) & O_APPEND) == 0;
}

// While it lives, a write to a pipe that nobody reads fails and does nothing else.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigset_t pending;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoBrokenPipe() {
    // Not sigtimedwait(): a cancellation point.
    const timespec now = {};
    if (!was_pending_) syscall(SYS_rt_sigtimedwait, &pipe_, nullptr, &now, kSignalSetBytes);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_;
};

}  // namespace

void look_at_stderr() {
  const ErrnoKeeper keeper;
  g_began_without = syscall(SYS_fcntl, STDERR_FILENO, F_GETFD) < 0;
}

void warn(std::string_view text) {
  const ErrnoKeeper keeper;
  if (is_not_stderr()) return;
  base::TextBuffer<kLineBytes> line;
  line.text("tide: ").text(text);
  iovec parts[2] = {{const_cast<char*>(line.view().data()), line.length()},
                    {const_cast<char*>("\n"), 1}};
  // Nothing is left to do about a stderr that can't be written to.
  // Not writev(): that is a cancellation point, and a thread must not end inside malloc.
  const NoBrokenPipe no_signal;
  syscall(SYS_writev, STDERR_FILENO, parts, 2);
}

void abort_process() { abort(); }

void fatal(std::string_view text) {
  warn(text);
  abort();
}

}  // namespace tide::sys

namespace tide::base {

void check_failed(const char* text, const char* file, int line) {
  TextBuffer<400> message;
  message.text("internal check failed: ").text(text).text(" (").text(file).put(':');
  message.decimal(static_cast<uint64_t>(line)).put(')');
  sys::fatal(message.view());
}

}  // namespace tide::base
