#include "walk/stopped_threads.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "host/error.h"

namespace tide::walk {

StoppedThreads::StoppedThreads(const host::Proc& proc, int pid) : proc_(proc), pid_(pid) {
  // Threads may start others until the last one stands.
  for (bool any = true; any;) {
    any = false;
    for (const int id : proc.threads(pid)) {
      if (std::find(ids_.begin(), ids_.end(), id) != ids_.end()) continue;
      if (stop(id)) any = true;
    }
  }
  if (ids_.empty()) throw host::Error(fmt::format("process {} has ended", pid));
}

// The first thread stays as a shell when it ends before the others.
bool StoppedThreads::has_ended(int id) const {
  const std::string stat = proc_.try_read(pid_, fmt::format("task/{}/stat", id)).value_or("");
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || stat[name_end + 2] == 'Z' || stat[name_end + 2] == 'X';
}

// False: the thread has ended meanwhile.
bool StoppedThreads::stop(int id) {
  if (ptrace(PTRACE_SEIZE, id, nullptr, nullptr) != 0) {
    if (errno == ESRCH || has_ended(id)) return false;
    const std::string tracer = proc_.try_read(pid_, "status").value_or("");
    const auto who = host::field_value(tracer, "TracerPid").value_or(0);
    let_go();
    if (who != 0) {
      throw host::Error(
          fmt::format("process {} is traced by process {} already; end that, or use "
                      "--no-stop",
                      pid_, who));
    }
    proc_.fail_not_permitted(pid_);
  }
  ids_.push_back(id);
  if (ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr) != 0) return true;
  int status = 0;
  while (waitpid(id, &status, __WALL) < 0 && errno == EINTR) {
  }
  // What stopped it instead is delivered when it goes on: PTRACE_DETACH with the signal.
  if (WIFSTOPPED(status) && (status >> 16) == 0 && WSTOPSIG(status) != SIGTRAP) {
    ptrace(PTRACE_CONT, id, nullptr, WSTOPSIG(status));
    ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr);
    while (waitpid(id, &status, __WALL) < 0 && errno == EINTR) {
    }
  }
  return true;
}

void StoppedThreads::let_go() {
  for (const int id : ids_) ptrace(PTRACE_DETACH, id, nullptr, nullptr);
  ids_.clear();
}

StoppedThreads::~StoppedThreads() { let_go(); }

}  // namespace tide::walk
