// What a sweep of an option has tried: time and memory by its values.
#pragma once

#include <string>
#include <vector>

#include "report/allocator_colors.h"
#include "report/replay_file.h"

namespace tide::report {

// Empty: the replay was no sweep. Wall time and max RSS by value, and a table of both against the
// first value.
std::vector<Json> sweep_items(const std::string& id, const ReplayFile& file);

}  // namespace tide::report
