// Profiles as sections of the page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "report/parts.h"
#include "report/pprof_file.h"

namespace tide::report {

Section profile_section(const std::string& id, const std::string& name, const Profile& profile);

// The view that its maker wants to be seen first, or the one that says most.
size_t shown_view(const Profile& profile);

// The functions with most of a view by themselves, as a table; `shown`: SIZE_MAX is the view that
// says most.
Json function_table(const Caption& caption, const FlameTree& tree, size_t shown = SIZE_MAX);

}  // namespace tide::report
