// `tide trace --to DB`: a trace that is recorded into a folder and goes to the fleet's database
// while the program runs, and what is left when it has ended.
#pragma once

#include <string>
#include <vector>

#include "cli/trace_options.h"

namespace tide::cli {

// Whether the text behind --to is a database.
bool is_fleet_address(const std::string& to);

// Records the program, or the process of --pid. Returns the exit status as these do; 1 when the
// trace could not be sent. Then the folder stays, and a line says where it is.
int record_into_fleet(const TraceOptions& options, const std::vector<std::string>& program);

}  // namespace tide::cli
