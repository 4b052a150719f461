// Reads a text file of the kernel's line by line, without allocation: for files in src/sys. Keeps
// errno; is no cancellation point. The memory is the caller's: threads of programs may have little
// stack.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "sys/errno_keeper.h"

namespace tide::sys {

class LineReader {
 public:
  // `room` for a line and more; what was read lies there.
  LineReader(const char* path, std::span<char> room) : room_(room) {
    const ErrnoKeeper keeper;
    descriptor_ = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
    is_missing_ = descriptor_ < 0 && errno == ENOENT;
  }
  ~LineReader() {
    const ErrnoKeeper keeper;
    if (descriptor_ >= 0) syscall(SYS_close, descriptor_);
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  bool is_missing() const { return is_missing_; }  // there is no such file

  // The next line without its newline; what is longer than the buffer is cut. False: no more, or
  // there is no such file.
  bool next(std::string_view& line) {
    for (;;) {
      const auto* const newline =
          static_cast<const char*>(memchr(room_.data() + begin_, '\n', end_ - begin_));
      if (newline != nullptr) {
        const auto at = static_cast<size_t>(newline - room_.data());
        line = {room_.data() + begin_, at - begin_};
        begin_ = at + 1;
        if (!cut_) return true;
        cut_ = false;  // the end of a line whose beginning was handed out
        continue;
      }
      if (cut_) begin_ = end_ = 0;
      memmove(room_.data(), room_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      if (end_ == room_.size() || !fill()) {
        if (end_ == 0 || cut_) return false;
        line = {room_.data(), end_};
        cut_ = end_ == room_.size();
        begin_ = end_;
        return true;
      }
    }
  }

 private:
  bool fill() {
    if (descriptor_ < 0) return false;
    const ErrnoKeeper keeper;
    long got;
    do {
      got = syscall(SYS_read, descriptor_, room_.data() + end_, room_.size() - end_);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return false;
    end_ += static_cast<size_t>(got);
    return true;
  }

  std::span<char> room_;
  int descriptor_ = -1;
  bool is_missing_ = false;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool cut_ = false;
};

}  // namespace tide::sys
