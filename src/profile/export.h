// A sampled profile for other tools.
#pragma once

#include <string>

#include "profile/profile.h"

namespace tide::profile {

// For pprof, compressed: allocations and what is in use, in Go's sample types. With kPeak or
// kGrowth the values in use are those.
std::string pprof_of(const Profile& profile, Names& names, Kind kind);

// A line per stack for flame graphs, the outermost function first: "main;f;g 4096".
std::string folded_of(const Profile& profile, Names& names, Kind kind);

}  // namespace tide::profile
