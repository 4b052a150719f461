// A control group of the kernel's (version 2, or 1) for one player: what it has resident is
// limited, as containers limit it. It lies at the highest group of this process that can be written
// to and below which none limits this process: so no limit is left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "host/file_descriptor.h"

namespace tide::replay {

class MemoryGroup {
 public:
  // Null where none can be made; `why_not` then says why. `root` stands before all paths, for
  // tests.
  static std::unique_ptr<MemoryGroup> make(std::string& why_not, const std::string& root = "");
  // No process may be in it any more.
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  // Who writes "0" to this descriptor is in the group.
  int members() const { return members_.get(); }
  void set_limit(uint64_t bytes);
  uint64_t used_bytes() const;
  // The kernel has ended a process because of the limit.
  bool has_killed() const;
  const std::string& folder() const { return folder_; }

 private:
  MemoryGroup(std::string folder, bool is_version_two, int members, int lock);

  const std::string folder_;
  const bool is_version_two_;
  const host::FileDescriptor members_;
  const host::FileDescriptor lock_;  // held: it is in use
};

}  // namespace tide::replay
