// A sampled profile for other tools.
#pragma once

#include <string>
#include <vector>

#include "profile/costs.h"
#include "profile/names.h"

namespace tide::profile {

// For pprof, compressed: allocations and what is in use, in Go's sample types. With kPeak or
// kGrowth the values in use are those; with kFragmentation there is pinned_space too, with
// kResidency resident_space, swapped_space and absent_space.
std::string pprof_of(const Profile& profile, Names& names, Kind kind);

// Its types beyond Go's.
std::vector<std::string> page_types(Kind kind);

// The same with all that is known, not compressed: for who reads it at once.
std::string whole_pprof_of(const Profile& profile, Names& names);

// A line per stack for flame graphs, the outermost function first: "main;f;g 4096".
std::string folded_of(const Profile& profile, Names& names, Kind kind);

}  // namespace tide::profile
