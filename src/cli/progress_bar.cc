#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "host/terminal.h"

namespace tide::cli {

using namespace std::chrono_literals;

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)),
      next_(Clock::now() + 1s),
      is_terminal_(host::Terminal(STDERR_FILENO).is_terminal()) {}

ProgressBar::~ProgressBar() {
  if (is_shown_) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::show(double done) {
  if (!is_terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + 100ms;
  is_shown_ = true;
  constexpr size_t kWidth = 30;
  const auto filled = static_cast<size_t>(std::clamp(done, 0.0, 1.0) * kWidth);
  fmt::print(stderr, "\r{} [{:<{}}] {:3.0f} %", what_, std::string(filled, '='), kWidth,
             std::clamp(done, 0.0, 1.0) * 100);
  std::fflush(stderr);
}

}  // namespace tide::cli
