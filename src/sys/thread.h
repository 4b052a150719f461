// Threads as the runtime needs them: who am I, call me when this thread ends, call me in a forked
// child.
#pragma once

#include <cstdint>

namespace tide::sys {

// Never 0, different for every running thread, the same for the life of the thread; in a forked
// child the forking thread keeps it.
uintptr_t thread_token();

bool is_main_thread();

// Runs `callback(argument)` on this thread when it ends, before the destructors of
// pthread_setspecific values. Allocates through malloc. False when that is not to be had.
bool at_thread_exit(void (*callback)(void*), void* argument);

// Runs `callback` in every forked child, in the thread that forked. Called once, early.
void at_fork_in_child(void (*callback)());

}  // namespace tide::sys
