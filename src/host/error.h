// The one exception type of the tools: a message for the user and the exit status that goes with
// it.
//
// Throw it where the fault is known; main() in src/cli prints "tide VERB: MESSAGE" as one line and
// exits. A message names the bad thing, what is wrong with it, and what to do. No trailing newline.
#pragma once

#include <stdexcept>
#include <string>

namespace tide::host {

// Exit statuses of every verb. The last three belong to `tide run`, whose own failures must not
// look like the program's; they are what env(1), timeout(1) and the shells use.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRunFailed = 125;
inline constexpr int kExitCannotRun = 126;
inline constexpr int kExitNotFound = 127;

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, int exit_status = kExitFailed)
      : std::runtime_error(message), exit_status_(exit_status) {}

  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

}  // namespace tide::host
