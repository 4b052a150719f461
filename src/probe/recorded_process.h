// This process in the arena: its slot, and its threads' streams that nobody uses at the moment.
// Everything here is for slow paths.
#pragma once

#include <cstdint>

#include "format/trace_arena.h"
#include "probe/thread_stream.h"

namespace tide::probe {

// Before anything else, and again with another arena while nobody records; false: no memory.
// `arena` stays mapped meanwhile. Process `slot_of` has slot `slot` already.
bool join_arena(format::TraceArena* arena, int32_t slot_of, uint32_t slot);

// The slot of this process, registered if need be: a forked child is a process of its own. Null:
// the arena has no slot left.
format::ProcessSlot* own_slot();
// That, if it is registered; waits for nobody.
format::ProcessSlot* known_slot();
// That too, and this is the process. A child of vfork, which runs on its parent's memory, is
// not.
bool is_own_process();

// True once in each process.
bool is_first_to_introduce();

// Gives the stream its numbers. False: the process has no slot.
bool register_thread(ThreadStream& stream);

// A stream for a thread that has none; null: no memory.
ThreadStream* take_stream();
// The same for a thread that has one of an earlier recording.
ThreadStream* renew_stream(ThreadStream* stream);
// For a stream that nothing was recorded in.
void give_back(ThreadStream* stream);

// The thread is about to end. What it still does is recorded; its stream is taken over once it is
// gone.
void thread_ends(ThreadStream& stream);
// Hands in the packets of threads that are gone.
void reap_ended_threads();

}  // namespace tide::probe
