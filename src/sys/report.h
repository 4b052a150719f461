// The two ways in which the runtime speaks: one line on stderr, and one line on stderr followed by
// abort. Both write with one system call, without a SIGPIPE, keep errno and need neither locks nor
// memory.
#pragma once

#include <string_view>

namespace tide::sys {

// To be called at the start: where a program begins without stderr, and the descriptor becomes that
// of a file which it opens, nothing is written there.
void look_at_stderr();

// Writes "tide: TEXT\n" to stderr.
void warn(std::string_view text);

// Raises SIGABRT, after the lines that say why.
[[noreturn]] void abort_process();

// Writes "tide: TEXT\n" to stderr and raises SIGABRT.
[[noreturn]] void fatal(std::string_view text);

}  // namespace tide::sys
