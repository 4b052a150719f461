#include "replay/player_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "format/replay_session.h"
#include "host/error.h"
#include "host/preload.h"
#include "host/proc.h"

namespace tide::replay {
namespace {

constexpr int kExitNotStarted = 127;
constexpr int kExitNotInGroup = 126;

int high_copy(int descriptor) { return fcntl(descriptor, F_DUPFD, 10); }

[[noreturn]] void become_player(const char* player, char* const* environment, int session,
                                int workload, int errors, const PlayerLimits& limits) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (limits.group >= 0 && write(limits.group, "0", 1) != 1) _exit(kExitNotInGroup);
  const int null = open("/dev/null", O_RDONLY);
  // Away from the numbers that they are to have.
  session = high_copy(session);
  workload = high_copy(workload);
  errors = high_copy(errors);
  dup2(null, STDIN_FILENO);
  dup2(errors, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  dup2(session, format::kReplaySessionDescriptor);
  dup2(workload, format::kReplayWorkloadDescriptor);
  close_range(format::kReplayWorkloadDescriptor + 1, ~0U, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (limits.address_space != 0) {
    const rlimit limit{limits.address_space, limits.address_space};
    setrlimit(RLIMIT_AS, &limit);
  }
  char name[] = "tide-player";
  char* const arguments[] = {name, nullptr};
  execve(player, arguments, environment);
  _exit(kExitNotStarted);
}

}  // namespace

PlayerProcess::PlayerProcess(const std::string& player, const Allocator& allocator, int session,
                             const std::string& workload, const PlayerLimits& limits)
    : errors_(memfd_create("tide-replay-errors", MFD_CLOEXEC)),
      pid_(start(player, allocator, session, workload, limits)),
      handle_(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0))),
      statm_(open(fmt::format("/proc/{}/statm", pid_).c_str(), O_RDONLY | O_CLOEXEC)),
      page_bytes_(static_cast<uint64_t>(sysconf(_SC_PAGESIZE))) {}

pid_t PlayerProcess::start(const std::string& player, const Allocator& allocator, int session,
                           const std::string& workload, const PlayerLimits& limits) const {
  if (!allocator.library.empty()) {
    host::require_preloadable(player, host::open_preload_library(allocator.library));
  }
  const host::FileDescriptor file(open(workload.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || errors_.get() < 0) {
    throw host::Error(fmt::format("'{}' can't be opened: {}", workload, std::strerror(errno)));
  }
  const host::Environment environment = allocator.environment();
  std::vector<char*> variables;
  for (const std::string& each : environment.entries()) {
    variables.push_back(const_cast<char*>(each.c_str()));  // NOLINT: execve's signature
  }
  variables.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    become_player(player.c_str(), variables.data(), session, file.get(), errors_.get(), limits);
  }
  if (pid < 0) {
    throw host::Error(fmt::format("no process can be started: {}", std::strerror(errno)));
  }
  return pid;
}

PlayerProcess::~PlayerProcess() { kill(); }

void PlayerProcess::kill() {
  if (status_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, __WALL);
  status_ = status;
}

std::optional<int> PlayerProcess::wait(uint64_t nanoseconds) {
  if (status_) return status_;
  pollfd handle{handle_.get(), POLLIN, 0};
  const timespec timeout{static_cast<time_t>(nanoseconds / 1'000'000'000),
                         static_cast<long>(nanoseconds % 1'000'000'000)};
  ppoll(&handle, handle_.get() < 0 ? 0 : 1, &timeout, nullptr);
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

std::string PlayerProcess::complaint() const {
  char text[512];
  const ssize_t got = pread(errors_.get(), text, sizeof text, 0);
  if (got <= 0) return {};
  std::string line(text, static_cast<size_t>(got));
  line.erase(std::min(line.find('\n'), line.size()));
  return line;
}

bool PlayerProcess::read_memory(uint64_t& rss, uint64_t& vm) const {
  char text[128];
  const ssize_t got = pread(statm_.get(), text, sizeof text - 1, 0);
  if (got <= 0) return false;
  text[got] = '\0';
  uint64_t size = 0;
  uint64_t resident = 0;
  if (std::sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) != 2) return false;
  rss = resident * page_bytes_;
  vm = size * page_bytes_;
  return true;
}

std::string PlayerProcess::mapped_file(uint64_t address) const {
  const std::string maps = host::Proc().try_read(pid_, "maps").value_or("");
  for (size_t at = 0; at < maps.size();) {
    const size_t end = std::min(maps.find('\n', at), maps.size());
    const std::string line = maps.substr(at, end - at);
    at = end + 1;
    uint64_t begin = 0;
    uint64_t past = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64, &begin, &past) != 2) continue;
    const size_t path = line.find('/');
    if (begin <= address && address < past && path != std::string::npos) return line.substr(path);
  }
  return {};
}

}  // namespace tide::replay
