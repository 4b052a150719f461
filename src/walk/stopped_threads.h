// The threads of a running process, stopped for as long as the object lives; they go on when it
// ends, also when this command is killed.
#pragma once

#include <vector>

#include "host/proc.h"

namespace tide::walk {

// Stops all threads of a process (PTRACE_SEIZE, PTRACE_INTERRUPT: no signal is seen by anybody).
class StoppedThreads {
 public:
  // Throws host::Error: may not be traced, or is traced already.
  StoppedThreads(const host::Proc& proc, int pid);
  ~StoppedThreads();
  StoppedThreads(const StoppedThreads&) = delete;
  StoppedThreads& operator=(const StoppedThreads&) = delete;

  const std::vector<int>& ids() const { return ids_; }

 private:
  bool has_ended(int id) const;
  bool stop(int id);
  void let_go();

  const host::Proc& proc_;
  int pid_;
  std::vector<int> ids_;
};

}  // namespace tide::walk
