// What the limits on the footprint are, from options and from the process's control group. A pure
// rule; options.h applies it.
#pragma once

#include <cstddef>

#include "api/option_set.h"
#include "heap/limits.h"
#include "sys/cgroup.h"

namespace tide::api {

// In bytes; 0: none.
struct LimitBytes {
  size_t soft;
  size_t hard;
};

// What `auto` stands for in a group with these limits. The group's limits are about everything in
// it, the program's code, stacks and page tables as well, and at `max` the kernel kills: so the
// hard limit is below it by a sixteenth, 256 MiB at most, and the soft one is nine tenths of it, or
// `high` if that is less.
LimitBytes auto_limits(const sys::CgroupLimits& group);

bool has_auto_limit(const OptionSet& options);

// `group` counts only when has_auto_limit().
LimitBytes limits_of(const OptionSet& options, const sys::CgroupLimits& group);

// Sets `limits` as a group that was looked at again says; not if it could not be seen. True: they
// are others now.
bool take_over(const OptionSet& options, const sys::CgroupLimits& group, heap::Limits& limits);

}  // namespace tide::api
