// A running tide-player. Ends with the object, at the latest.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "host/file_descriptor.h"
#include "replay/allocators.h"

namespace tide::replay {

struct PlayerLimits {
  uint64_t address_space = 0;  // bytes; 0: none
  int group = -1;              // descriptor of the list of a control group's processes; -1: none
};

class PlayerProcess {
 public:
  // Throws host::Error when it can't be started.
  PlayerProcess(const std::string& player, const Allocator& allocator, int session,
                const std::string& workload, const PlayerLimits& limits);
  ~PlayerProcess();
  PlayerProcess(const PlayerProcess&) = delete;
  PlayerProcess& operator=(const PlayerProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Waits up to so long; the status as of waitpid(2) once it has ended.
  std::optional<int> wait(uint64_t nanoseconds);
  void note_end(int status) { status_ = status; }
  void kill();

  // The first line that it, or a library in it, wrote to its standard error.
  std::string complaint() const;

  // RSS and virtual size of now in bytes; false when it is gone.
  bool read_memory(uint64_t& rss, uint64_t& vm) const;

  // The file that is mapped there; empty: none.
  std::string mapped_file(uint64_t address) const;

 private:
  pid_t start(const std::string& player, const Allocator& allocator, int session,
              const std::string& workload, const PlayerLimits& limits) const;

  const host::FileDescriptor errors_;
  const pid_t pid_;
  const host::FileDescriptor handle_;  // pidfd
  const host::FileDescriptor statm_;
  const uint64_t page_bytes_;
  std::optional<int> status_;
};

}  // namespace tide::replay
