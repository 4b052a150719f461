#include "cli/traced_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/error.h"

namespace tide::cli {

TracedProgram::TracedProgram(const std::string& path, const std::vector<std::string>& arguments,
                             const host::Environment& environment, const sigset_t& signals) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0 || (pid_ = fork()) < 0) {
    throw host::Error(fmt::format("cannot start a process: {}", std::strerror(errno)),
                      host::kExitRunFailed);
  }
  if (pid_ != 0) {
    close(ends[0]);
    gate_ = ends[1];
    return;
  }
  close(ends[1]);
  char go;
  if (read(ends[0], &go, 1) != 1) _exit(host::kExitRunFailed);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  try {
    host::exec_program(path, arguments, environment);
  } catch (const host::Error& error) {
    fmt::print(stderr, "tide trace: {}\n", error.what());
    _exit(error.exit_status());
  }
}

TracedProgram::~TracedProgram() {
  if (gate_ < 0) return;
  close(gate_);
  if (!is_reaped_) waitpid(pid_, nullptr, 0);
}

void TracedProgram::release() {
  const char go = 1;
  const bool is_told = write(gate_, &go, 1) == 1;
  close(gate_);
  gate_ = -1;
  if (!is_told) throw host::Error("the program has ended before it began", host::kExitRunFailed);
}

bool TracedProgram::has_ended(int* wait_status) {
  if (is_reaped_) return false;
  is_reaped_ = waitpid(pid_, wait_status, WNOHANG) == pid_;
  return is_reaped_;
}

}  // namespace tide::cli
