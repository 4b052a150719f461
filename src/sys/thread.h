// Threads as the runtime needs them: who am I, call me when this thread ends, call me in a forked
// child.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::sys {

// Never 0, different for every running thread, the same for the life of the thread; in a forked
// child the forking thread keeps it.
uintptr_t thread_token();

// The system's number of the calling thread, and whether a thread of this process that had a number
// is gone for good. Numbers are used again, so "not gone" may be about another thread.
int32_t thread_number();
bool thread_is_gone(int32_t number);
// The same for what outlives a moment: 0 where the calling thread only borrows the memory of
// another one, in a child of vfork(2). What it makes or starts there is its parent's soon.
int32_t lasting_thread_number();

// The CPU that the calling thread is on, or was a moment ago; 0 when that is not to be had.
unsigned current_cpu();

// Whether `number` is the thread's that the process began with.
bool is_main_thread(int32_t number);

// Whether the program has no second thread, as far as the C library knows; when in doubt, false.
bool is_single_threaded();

// Every running thread of the process has passed a full memory barrier when this returns; those
// that do not run pass one before they do (membarrier(2)). The callers' threads need none of their
// own. False: the system has no such thing (before Linux 4.14, or forbidden).
bool fence_all_threads();

// One of these is what at_thread_exit() allocates.
inline constexpr size_t kThreadExitBytes[] = {4 * sizeof(void*), 6 * sizeof(void*)};

// Runs `callback(argument)` on this thread when it ends, before the destructors of
// pthread_setspecific values. Allocates through malloc. False when that is not to be had. A thread
// that calls it from such a destructor is too late: nothing will run.
bool at_thread_exit(void (*callback)(void*), void* argument);

// Runs `callback` once in every forked child, in the thread that forked: at the latest when the
// child's fork handlers run, and before that when somebody asks finish_fork(). Called once, early.
// Not thread-safe.
void at_fork_in_child(void (*callback)());

// Handlers that the program registered before us run before ours and may allocate. Whoever is about
// to wait for a lock asks here first: true when this was a forked child whose callback had not run.
bool finish_fork();

}  // namespace tide::sys
