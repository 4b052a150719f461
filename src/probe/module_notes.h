// Which object files the trace has been told of: programs load more of them while they run.
//
// The dynamic linker's list is under its locks, which somebody may hold who waits for a lock of the
// program's that this thread has. The kernel's list is not, but costs some 100 us to read; so it is
// read when there is reason to: at the start, at the end, before a library is unloaded, and some
// times after one was loaded.
#pragma once

namespace tide::probe {

// Once, before the first record; false: no memory.
bool prepare_module_notes();

// In a forked child, which has a file of its own to tell.
void forget_module_notes();

// Whether expect_modules() was called not long ago.
bool has_module_work();

}  // namespace tide::probe
