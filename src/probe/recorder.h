// The recorder: writes what happens in a thread into its packet of the arena, whoever serves the
// calls. See docs/design/08-recorder.md.
//
// Who calls sets ThreadStream::busy to kWriting around every function that records, so that a
// signal handler leaves alone what it has interrupted. All functions keep errno, allocate nothing
// and wait for nobody but the collector.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/compiler.h"
#include "format/trace_arena.h"
#include "format/trace_record.h"
#include "layout/recording_root.h"
#include "probe/thread_stream.h"
#include "sys/clock.h"
#include "sys/path_taken.h"
#include "sys/ticks.h"

namespace tide::probe {

using format::Call;

// The same for the life of the program, in forked children too.
struct Recording {
  format::TraceArena* arena;
  bool by_processor;  // the clock
  uint32_t tick_shift;
  format::StackKind stacks;
  uint32_t stack_depth;
  uint32_t stack_table_bytes;
  bool has_usable_sizes;
  std::string_view allocator;  // the object that serves the calls
  // Where an allocator says which path a call took: from the thread pointer on, a byte with
  // format::Path. Of others one that nobody writes.
  ptrdiff_t path_at;
};

extern constinit Recording g_recording;

// Never null: a closed one stands in until the thread's first event.
extern constinit thread_local ThreadStream* t_stream;

// What is to happen with events: the collector's word, or one of our own.
extern constinit const std::atomic<format::Control>* g_control;

// Before anything is recorded, and again with another arena when all threads' streams are closed.
// False: no memory. `allocator` stays. If this is process `slot_of`, slot `slot` of the arena is
// filled in for it; 0: of no process.
bool start_recording(format::TraceArena* arena, std::string_view allocator,
                     ptrdiff_t path_at = sys::place_of_path(), int32_t slot_of = 0,
                     uint32_t slot = 0);

// For a tool that looks at the recorder from outside.
layout::StreamsAt map_of_streams();

// Whether events are recorded at the moment.
inline bool is_recording() {
  return g_control->load(std::memory_order_relaxed) == format::Control::kRecord;
}

// Gives the calling thread, whose stream is closed, one of its own, if `start` succeeds; that one
// is called where signal handlers are known as such. Null: not possible.
ThreadStream* open_stream(bool (*start)() = nullptr);

// For the thread that is about to make another one, and the first thing that one does.
ThreadStream* prepare_thread(void* (*routine)(void*), void* argument);
void begin_thread(ThreadStream* stream);

// The byte for the path of the calling thread's call.
TIDE_INLINE uint8_t& path_here() {
  if (!sys::kKnowsThreadPointer) return sys::t_path_taken;
  return *reinterpret_cast<uint8_t*>(sys::thread_pointer() + g_recording.path_at);
}

TIDE_INLINE uint64_t now() {
  const uint64_t raw =
      TIDE_LIKELY(g_recording.by_processor) ? sys::processor_ticks() : sys::monotonic_ns();
  return raw >> g_recording.tick_shift;
}

// Makes the records so far visible to the collector.
TIDE_INLINE void publish(ThreadStream& stream) {
  stream.head->committed.store(static_cast<uint32_t>(stream.cursor.at - records_of(stream.head)),
                               std::memory_order_release);
}

// An event with up to four extras (see format/trace_record.h).
struct Event {
  Call call;
  uint64_t pointer;
  uint64_t size;
  uint64_t slack;
  uint64_t extras[4];
  uint32_t extra_count;
  bool is_sized;      // kDelete, kDeleteArray
  uint64_t path = 0;  // format::Path
};

// Any event. `frame`: the frame of the call, for its stack; null: without one.
void record_slow(ThreadStream& stream, const void* frame, const Event& event);

namespace detail {
void record_aside(ThreadStream& stream, const void* frame, Call call, uint64_t pointer,
                  uint64_t size, uint64_t slack, uint64_t path);
void record_aside_with(ThreadStream& stream, const void* frame, Call call, uint64_t pointer,
                       uint64_t size, uint64_t slack, uint64_t extra, uint64_t path);

TIDE_INLINE bool is_quick(const ThreadStream& stream) {
  return stream.cursor.at < stream.limit && is_recording();
}
}  // namespace detail

// An event without extras. `path`: see Recording::path_at.
TIDE_INLINE void record(ThreadStream& stream, const void* frame, Call call, uint64_t pointer,
                        uint64_t size, uint64_t slack, uint64_t path = 0) {
  if (TIDE_UNLIKELY(!detail::is_quick(stream))) {
    return detail::record_aside(stream, frame, call, pointer, size, slack, path);
  }
  format::put_record(stream.cursor, call, now(), pointer, size, slack, path);
  publish(stream);
}

// An event with one.
TIDE_INLINE void record_with(ThreadStream& stream, const void* frame, Call call, uint64_t pointer,
                             uint64_t size, uint64_t slack, uint64_t extra, uint64_t path = 0) {
  if (TIDE_UNLIKELY(!detail::is_quick(stream))) {
    return detail::record_aside_with(stream, frame, call, pointer, size, slack, extra, path);
  }
  format::put_record(stream.cursor, call, now(), pointer, size, slack, path);
  stream.cursor.at = format::put_varint(stream.cursor.at, extra);
  publish(stream);
}

// A kDelete or kDeleteArray that gives the size.
TIDE_INLINE void record_sized(ThreadStream& stream, const void* frame, Call call, uint64_t pointer,
                              uint64_t size) {
  if (TIDE_UNLIKELY(!detail::is_quick(stream))) {
    return record_slow(stream, frame, {call, pointer, size, 0, {}, 0, true});
  }
  uint8_t* const head = stream.cursor.at;
  format::put_record(stream.cursor, call, now(), pointer, size, 0, 0);
  format::mark_sized(head);
  publish(stream);
}

// Notes. A text that does not fit into the packet is cut; half a packet does always.
void record_note(ThreadStream& stream, format::Note note, uint64_t number, uint64_t second,
                 std::string_view text);
void record_process(ThreadStream& stream, format::ProcessNote note, uint64_t number,
                    std::string_view text);

// An event that can't be recorded: for want of a packet, or a signal handler's in the middle of a
// record.
void count_lost(ThreadStream& stream);

// Calls inside of a call that is recorded are the same block once more (operator new calls malloc),
// or something of the allocator's own. Which one an allocation is shows when the call outside
// returns.
void note_nested(ThreadStream& stream, const NestedBlock& block);
// For those that are not `result`, the block that the call outside has given. Tide takes one for
// each thread in its first call, and the C library frees it when the thread ends: it is hidden, and
// so will be its end. Others are recorded.
void record_nested(ThreadStream& stream, uint64_t result);
// A release inside of a call; recorded unless it is of the very block that the call is about.
void record_nested_release(ThreadStream& stream, Call call, uint64_t pointer);

// Object files may have come since the last call of record_modules().
void expect_modules();
// Notes the object files that are new since then.
void record_modules(ThreadStream& stream);

enum class ControlResult : uint8_t { kDone, kNotRecording, kNoAnswer };

// For the program, about itself: pauses, goes on, or ends the recording of this process.
ControlResult pause_recording(ThreadStream& stream);
ControlResult resume_recording(ThreadStream& stream);
ControlResult stop_recording();
// Waits until what this thread recorded is in the file.
ControlResult sync_recording(ThreadStream& stream);

}  // namespace tide::probe
