/*
 * trace.h - what a program can say about the recording of its own allocations.
 *
 * `tide trace` records a program from outside, without its help; see docs/command-line.md. These
 * functions are for programs that want to say when it matters: they pause the recording, begin it
 * anew after the warm-up, or give a moment a name.
 *
 * The functions are in libtide.so, where they do something while `tide trace --pid` records the
 * process, and in libtide-trace.so, which `tide trace` puts before all other libraries: a program
 * linked with -ltide finds the ones that do something whenever it is recorded.
 *
 * Rules for all of them:
 *  - they are about the calling process alone; a child made by fork() begins as its parent was;
 *  - any thread may call, at any time, but not from a signal handler;
 *  - functions that return an int give 0, or -1 with errno ENOTSUP when the process is not being
 *    recorded.
 *
 * C99 and later, and C++.
 */
#ifndef TIDE_TRACE_H
#define TIDE_TRACE_H

#if defined(__cplusplus)
#define TIDE_TRACE_NOTHROW noexcept
extern "C" {
#else
#define TIDE_TRACE_NOTHROW
#endif

/* 1: what happens now is being recorded. 0: it is not, at the moment or at all. */
int tide_trace_active(void) TIDE_TRACE_NOTHROW;

/* Nothing is recorded until tide_trace_resume(). Blocks that are freed meanwhile stay live in the
   trace, and blocks that are allocated meanwhile are unknown to it. */
int tide_trace_pause(void) TIDE_TRACE_NOTHROW;
int tide_trace_resume(void) TIDE_TRACE_NOTHROW;

/* Ends the recording of this process for good. */
int tide_trace_stop(void) TIDE_TRACE_NOTHROW;

/* Says that what came before is not of interest: analyses begin here, with the blocks that are live
   now. */
int tide_trace_reset(void) TIDE_TRACE_NOTHROW;

/* Waits until all that the calling thread has done, and all threads that have ended, is in the
   trace's file. What other threads did is there but for the packet that each is filling at the
   moment, up to 32 KiB of records. -1 with errno EIO: the recording tool is gone. */
int tide_trace_sync(void) TIDE_TRACE_NOTHROW;

/* Gives this moment a name in the trace; of a long one the first 16,000 bytes at least. */
int tide_trace_marker(const char* name) TIDE_TRACE_NOTHROW;

#if defined(__cplusplus)
}
#endif

#endif
