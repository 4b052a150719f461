// The control group that this process is in: how much memory it may have. Version 2, version 1, and
// both at once. Nothing here allocates; errno is kept. A call reads a handful of files (tens of
// microseconds), so it is for the start and for whoever looks now and then.
//
// `root` stands before every absolute path: empty but in tests.
#pragma once

#include <cstdint>

#include "base/text.h"

namespace tide::sys {

inline constexpr uint64_t kUnlimited = UINT64_MAX;

// In bytes, kUnlimited for none: the least of the group and all groups around it.
struct CgroupLimits {
  uint64_t high = kUnlimited;  // memory.high: above it the kernel slows the group down
  uint64_t max = kUnlimited;   // memory.max, or memory.limit_in_bytes: above it the kernel kills
  // False: something was there that could not be read (no descriptor left, a sandbox, another
  // root), so there may be limits that are not among these.
  bool seen = false;
};

// Memory to read in, for one caller at a time. Too much for the stacks of some threads: who asks
// from within somebody's malloc has it elsewhere.
struct GroupRoom {
  // Longer paths than this are not followed.
  static constexpr size_t kPathBytes = 1024;
  char folder[kPathBytes];
  char group[kPathBytes];
  char file[kPathBytes];
  char lines[2 * kPathBytes];
};

CgroupLimits cgroup_limits(GroupRoom& room, const char* root = "");

enum class CgroupVersion : uint8_t { kOne, kTwo };

// Appends the group's folder in the hierarchy of that version which limits memory; the first `top`
// bytes of it are where the hierarchy is mounted. False: there is none. `folder` may be in
// room.folder.
bool cgroup_folder(GroupRoom& room, const char* root, CgroupVersion version,
                   base::TextWriter& folder, size_t& top);

}  // namespace tide::sys
