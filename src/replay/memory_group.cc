#include "replay/memory_group.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "base/text.h"
#include "host/error.h"
#include "sys/cgroup.h"

namespace tide::replay {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "tide-replay-";

struct Hierarchy {
  bool is_version_two;
  std::string top;    // where it is mounted
  std::string group;  // folder of this process's group in it, `top` or below
};

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<Hierarchy> find_hierarchy(const std::string& root, sys::CgroupVersion version) {
  const auto room = std::make_unique<sys::GroupRoom>();
  base::TextWriter folder(room->folder, sizeof room->folder);
  size_t top = 0;
  if (!sys::cgroup_folder(*room, root.c_str(), version, folder, top)) return std::nullopt;
  return Hierarchy{version == sys::CgroupVersion::kTwo, std::string(folder.view().substr(0, top)),
                   std::string(folder.view())};
}

// Whoever is in that group and not in one above would lose a limit by leaving it.
bool limits(const std::string& folder, bool is_version_two) {
  constexpr uint64_t kLeastUnlimited = uint64_t{1} << 62;
  if (!is_version_two) {
    const std::string text = content_of(folder + "/memory.limit_in_bytes");
    return !text.empty() && std::strtoull(text.c_str(), nullptr, 10) < kLeastUnlimited;
  }
  for (const char* const name :
       {"memory.max", "memory.high", "memory.swap.max", "cpu.max", "pids.max"}) {
    const std::string text = content_of(folder + "/" + name);
    if (!text.empty() && !text.starts_with("max")) return true;
  }
  const std::string processors = content_of(folder + "/cpuset.cpus");
  return !processors.empty() && processors != "\n";
}

// The highest first.
std::vector<std::string> parents(const Hierarchy& hierarchy) {
  std::vector<std::string> found = {hierarchy.group};
  while (found.front() != hierarchy.top && !limits(found.front(), hierarchy.is_version_two)) {
    found.insert(found.begin(), fs::path(found.front()).parent_path().string());
  }
  return found;
}

bool write_file(const std::string& path, const std::string& text) {
  const host::FileDescriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.get() >= 0 &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

int locked(const std::string& folder) {
  const int lock = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  if (lock >= 0) close(lock);
  return -1;
}

// Groups of replays that were killed: nobody holds them.
void remove_abandoned(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const host::FileDescriptor lock(locked(entry.path().string()));
    if (lock.get() >= 0) rmdir(entry.path().c_str());
  }
}

// By trying: who may make a group may not always move into it.
bool can_be_joined(int members) {
  const pid_t pid = fork();
  if (pid == 0) _exit(write(members, "0", 1) == 1 ? 0 : 1);
  int status = 0;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

uint64_t counter_of(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  std::string word;
  uint64_t value = 0;
  while (lines >> word >> value) {
    if (word == name) return value;
  }
  return 0;
}

}  // namespace

std::unique_ptr<MemoryGroup> MemoryGroup::make(std::string& why_not, const std::string& root) {
  static unsigned counter = 0;
  why_not = "there is no hierarchy of control groups for memory";
  for (const auto version : {sys::CgroupVersion::kOne, sys::CgroupVersion::kTwo}) {
    const auto hierarchy = find_hierarchy(root, version);
    if (!hierarchy) continue;
    const bool is_version_two = hierarchy->is_version_two;
    for (const std::string& parent : parents(*hierarchy)) {
      remove_abandoned(parent);
      std::string folder = fmt::format("{}/{}{}-{}", parent, kPrefix, getpid(), ++counter);
      if (mkdir(folder.c_str(), 0755) != 0) {
        why_not =
            fmt::format("no control group can be made in '{}': {}", parent, std::strerror(errno));
        continue;
      }
      const int lock = locked(folder);
      const int members = open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
      std::unique_ptr<MemoryGroup> group(new MemoryGroup(folder, is_version_two, members, lock));
      const std::string limit =
          folder + (is_version_two ? "/memory.max" : "/memory.limit_in_bytes");
      const bool has_limit = access(limit.c_str(), W_OK) == 0;
      if (has_limit && members >= 0 && can_be_joined(members)) {
        // Without swap: the limit is one of memory.
        write_file(folder + (is_version_two ? "/memory.swap.max" : "/memory.swappiness"), "0");
        return group;
      }
      why_not = fmt::format("a control group in '{}' {}", parent,
                            has_limit ? "cannot be entered" : "cannot limit memory");
    }
  }
  return nullptr;
}

MemoryGroup::MemoryGroup(std::string folder, bool is_version_two, int members, int lock)
    : folder_(std::move(folder)), is_version_two_(is_version_two), members_(members), lock_(lock) {}

MemoryGroup::~MemoryGroup() {
  // A process that has just ended may be counted for a moment.
  for (int attempt = 0; attempt < 100 && rmdir(folder_.c_str()) != 0 && errno == EBUSY; ++attempt) {
    usleep(10'000);
  }
}

void MemoryGroup::set_limit(uint64_t bytes) {
  const std::string path = folder_ + (is_version_two_ ? "/memory.max" : "/memory.limit_in_bytes");
  // Busy: what is there already is more, and cannot be given up. The kernel then ends whoever asks
  // for more, or here the caller may try again.
  if (!write_file(path, fmt::format("{}", bytes)) && errno != EBUSY) {
    throw host::Error(fmt::format("cannot write to '{}': {}", path, std::strerror(errno)));
  }
}

uint64_t MemoryGroup::used_bytes() const {
  const std::string text =
      content_of(folder_ + (is_version_two_ ? "/memory.current" : "/memory.usage_in_bytes"));
  return std::strtoull(text.c_str(), nullptr, 10);
}

bool MemoryGroup::has_killed() const {
  const std::string text =
      content_of(folder_ + (is_version_two_ ? "/memory.events" : "/memory.oom_control"));
  return counter_of(text, "oom_kill") != 0;
}

}  // namespace tide::replay
