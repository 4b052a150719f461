// Process numbers on the command line.
#pragma once

#include <string>
#include <string_view>

namespace tide::cli {

// Throws host::Error (kExitUsage) for what is no process number; `verb` is named in it.
int parse_process_number(std::string_view verb, const std::string& text);

// "process 12 (cat) does not run on Tide; ..."
std::string not_on_tide(int pid, std::string_view command);

}  // namespace tide::cli
