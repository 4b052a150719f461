// What `tide profile` shows of a profile.
#pragma once

#include <cstddef>
#include <string>

#include "profile/costs.h"
#include "profile/names.h"

namespace tide::cli {

// At most `top` stacks. The text is for a terminal on standard output.
std::string profile_text(const profile::Profile& profile, profile::Names& names, profile::Kind kind,
                         size_t top);
std::string profile_json(const profile::Profile& profile, profile::Names& names, profile::Kind kind,
                         size_t top);
// A line for people where the kind lacks what a thread's cache served by itself; or nothing.
std::string note_on_calls(const profile::Profile& profile, profile::Kind kind);

}  // namespace tide::cli
