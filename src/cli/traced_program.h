// The program that `tide trace` starts: held back until everything is ready for it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

#include "host/program.h"

namespace tide::cli {

class TracedProgram {
 public:
  // Forks. The child waits; it ends when this object does before release().
  TracedProgram(const std::string& path, const std::vector<std::string>& arguments,
                const host::Environment& environment, const sigset_t& signals);
  ~TracedProgram();
  TracedProgram(const TracedProgram&) = delete;
  TracedProgram& operator=(const TracedProgram&) = delete;

  pid_t pid() const { return pid_; }
  void release();

  // Whether it has ended; `*wait_status` then says how.
  bool has_ended(int* wait_status);

 private:
  pid_t pid_ = -1;
  int gate_ = -1;
  bool is_reaped_ = false;
};

}  // namespace tide::cli
