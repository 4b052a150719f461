#include "sys/report.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>

#include "base/check.h"
#include "base/text.h"

namespace tide::sys {

namespace {

constexpr size_t kLineBytes = 512;

}  // namespace

void warn(std::string_view text) {
  const int saved_errno = errno;
  base::TextBuffer<kLineBytes> line;
  line.text("tide: ").text(text);
  iovec parts[2] = {{const_cast<char*>(line.view().data()), line.length()},
                    {const_cast<char*>("\n"), 1}};
  // Nothing is left to do about a stderr that can't be written to.
  // Not writev(): that is a cancellation point, and a thread must not end inside malloc.
  syscall(SYS_writev, STDERR_FILENO, parts, 2);
  errno = saved_errno;
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
