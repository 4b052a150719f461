// One helper thread of the process that the C library knows nothing of: for it a program that was
// single-threaded stays so (__libc_single_threaded, no locks in stdio, fork without handlers'
// work). All signals are blocked in it. It may use the engine and system calls, nothing else of the
// C library: no malloc, no stdio, no dlsym, no thread-local variable of others.
#pragma once

#include <cstdint>

namespace tide::sys {

// Runs `run` in the helper, which ends when it returns; it can do nothing but give memory back,
// wait and end. False: not possible here or now (it is still running, no clone(2), an unusual
// thread-local layout, Valgrind). Keeps errno.
bool start_background(void (*run)());

// In a forked child, which has no helper.
void forget_background();

// Whether the calling thread is the helper.
bool is_in_background();

void sleep_for(uint64_t nanoseconds);

}  // namespace tide::sys
