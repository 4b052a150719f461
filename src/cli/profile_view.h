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

}  // namespace tide::cli
