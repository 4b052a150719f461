// How far a job is, on standard error: only when that is a terminal, and after a second.
#pragma once

#include <chrono>
#include <string>

namespace tide::cli {

class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` from 0 to 1.
  void show(double done);

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  Clock::time_point next_;
  bool is_terminal_;
  bool is_shown_ = false;
};

}  // namespace tide::cli
