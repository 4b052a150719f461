// Results of `tide replay` as a section of the page.
#pragma once

#include <string>

#include "report/allocator_colors.h"
#include "report/parts.h"
#include "report/replay_file.h"

namespace tide::report {

Section replay_section(const std::string& id, const std::string& name, const ReplayFile& file,
                       AllocatorColors& colors);

// Which allocator is fastest, which needs the least, in sentences.
std::vector<std::string> replay_answer(const ReplayFile& file);

// Indices of runs that no other run beats in both time and memory.
std::vector<size_t> pareto_front(const std::vector<ReplayRun>& runs);

}  // namespace tide::report
