// The process as a whole: its environment, whether it runs with privileges that its user lacks, and
// files that it writes. Nothing here allocates; all functions keep errno.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text.h"

namespace tide::sys {

// As it is before the C library has set `environ`, too: malloc is called earlier. May be null.
const char* const* environment();
// What the program hands on when it executes another; null: it has cleared it.
char* const* environment_to_hand_on();

// What `name` is set to; empty: nothing. Ends with a zero.
std::string_view environment_value(std::string_view name);

// True in secure-execution mode (set-uid and alike): what the environment says must be ignored.
bool is_secure_execution();

int process_id();
int parent_process_id();
// Tells the namespace that the two are numbers in from others; 0: not known.
uint64_t pid_namespace();
// Appends the path of the program that the process runs. False: not known.
bool program_path(base::TextWriter& path);
// CPUs that the calling thread may run on, at least 1.
unsigned cpu_count();

// A descriptor for appending to the file, made if need be; -1: not possible.
int open_for_append(const char* path);
// The same for writing it anew.
int open_anew(const char* path);
// Whether there is such a file whose last byte was written after that moment, of monotonic_ns().
bool was_written_since(const char* path, uint64_t monotonic_ns);
void close_descriptor(int descriptor);
// `pattern` with the process id for each %p, and a zero behind it.
void expand_path(const char* pattern, base::TextWriter& path);

// A second descriptor for the same file, high above those that programs count on, closed by exec;
// -1: not possible.
int duplicate_high(int descriptor);

// Tells one open file from another; 0: the descriptor is closed.
uint64_t file_identity(int descriptor);

// False when not everything could be written.
bool write_all(int descriptor, std::string_view text);

}  // namespace tide::sys
