// The two ways in which the runtime speaks: one line on stderr, and one line on stderr followed by
// abort. Both write with one system call, keep errno and need neither locks nor memory.
#pragma once

#include <string_view>

namespace tide::sys {

// Writes "tide: TEXT\n" to stderr.
void warn(std::string_view text);

// Raises SIGABRT, after the lines that say why.
[[noreturn]] void abort_process();

// Writes "tide: TEXT\n" to stderr and raises SIGABRT.
[[noreturn]] void fatal(std::string_view text);

}  // namespace tide::sys
