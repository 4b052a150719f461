// The raw samples of a replay as lines for a ledger (bench/ledger): one "run", and a "sample" for
// each allocator and repetition.
#pragma once

#include <string>

#include "cli/replay_report.h"

namespace tide::cli {

// Appends to the file. Throws host::Error where that can't be.
void append_to_ledger(const std::string& path, const ReplayReport& report);

}  // namespace tide::cli
