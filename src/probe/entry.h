// How a call of the program comes in: whether it is recorded, and the thread's stream if so; and
// what all calls that give or take a block have in common.
#pragma once

#include <atomic>

#include "base/compiler.h"
#include "probe/large_blocks.h"
#include "probe/recorder.h"

namespace tide::probe {

// The frame of the exported function that this stands in.
#define TIDE_FRAME __builtin_frame_address(0)
// Where it returns to.
#define TIDE_CALLER __builtin_return_address(0)

// Gives the calling thread, which has none yet, a stream, and starts the recording before that.
// Null: there is nothing to record.
using Opener = ThreadStream*();

// Where nothing is recorded: `frame` is nested in a call that is, or a signal handler's, or the
// thread has no stream yet. Opens one if it can. Null: the call passes unrecorded.
ThreadStream* enter_aside(const void* frame, Opener* open);

TIDE_INLINE ThreadStream* enter(const void* frame, Opener* open) {
  ThreadStream* const stream = t_stream;
  if (TIDE_LIKELY(stream->busy == kIdle)) return stream;
  return enter_aside(frame, open);
}

// The compiler must not move records out of what signal handlers see as such.
TIDE_INLINE void set_busy(ThreadStream& stream, uintptr_t busy) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  stream.busy = busy;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

TIDE_INLINE uint64_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }

// `Next` in what follows is an object with the functions that serve the program's calls, named as
// in preload/next.h, with open(), an Opener, and hides(p): whether the block is none of theirs.

template <class Next>
TIDE_INLINE uint64_t slack_of(const Next& next, void* p, size_t bytes) {
  if (!g_recording.has_usable_sizes || p == nullptr) return 0;
  const size_t usable = next.malloc_usable_size(p);
  return usable > bytes ? usable - bytes : 0;
}

// Before a call that gives a block: where the allocator will have said which path it took.
TIDE_INLINE uint8_t& begin_path() {
  uint8_t& path = path_here();
  path = 0;
  return path;
}

// After `next` has served a call with `result`, the block that it gave, if any.
TIDE_INLINE void leave_call(ThreadStream& stream, uint64_t result) {
  set_busy(stream, kWriting);
  if (TIDE_UNLIKELY(stream.nested_count != 0)) record_nested(stream, result);
}

// Whether the calling thread is in a call that is recorded, and no record is in the making.
bool is_in_call();

// A call that nobody recorded, inside of one that is, has given a block.
void given_aside(const NestedBlock& block);
// One that nobody recorded takes `p`: perhaps it is inside of one that is.
void taken_aside(Call call, void* p);

// A call that gives a block: `serve(stream)` makes it, `write(stream, block, slack, path)` records
// it. `busy`: what the thread is meanwhile; `aside(block)`: what there is to do where the call
// passes unrecorded; `bytes`: what the slack is counted from; `all`: what was asked for, if it
// succeeds.
template <class Next, class Serve, class Aside, class Write>
TIDE_INLINE void* giving_by(const Next& next, const void* frame, uintptr_t busy, size_t bytes,
                            size_t all, Serve serve, Aside aside, Write write) {
  ThreadStream* const stream = enter(frame, next.open);
  if (TIDE_UNLIKELY(stream == nullptr)) {
    void* const p = serve(stream);
    aside(p);
    return p;
  }
  set_busy(*stream, busy);
  uint8_t& path = begin_path();
  void* const p = serve(stream);
  const uint64_t slack = slack_of(next, p, bytes);
  leave_call(*stream, number(p));
  write(*stream, number(p), slack, path);
  block_came(number(p), all);
  set_busy(*stream, kIdle);
  return p;
}

template <class Next>
TIDE_INLINE void note_given(const Next& next, Call call, void* p, size_t bytes, bool has_extra,
                            uint64_t extra) {
  if (!is_in_call() || next.hides(p)) return;
  given_aside({call, has_extra, number(p), bytes, slack_of(next, p, bytes), extra});
}

// One that has no extras.
template <class Next, class Serve>
TIDE_INLINE void* giving(const Next& next, const void* frame, Call call, size_t bytes,
                         Serve serve) {
  return giving_by(
      next, frame, kInCall, bytes, bytes, [&](ThreadStream*) { return serve(); },
      [&](void* p) { note_given(next, call, p, bytes, false, 0); },
      [=](ThreadStream& stream, uint64_t block, uint64_t slack, uint64_t path) {
        record(stream, frame, call, block, bytes, slack, path);
      });
}

// One that has one extra.
template <class Next, class Serve>
TIDE_INLINE void* giving_with(const Next& next, const void* frame, Call call, size_t bytes,
                              uint64_t extra, size_t all, Serve serve) {
  return giving_by(
      next, frame, kInCall, bytes, all, [&](ThreadStream*) { return serve(); },
      [&](void* p) { note_given(next, call, p, bytes, true, extra); },
      [=](ThreadStream& stream, uint64_t block, uint64_t slack, uint64_t path) {
        record_with(stream, frame, call, block, bytes, slack, extra, path);
      });
}

// A call that takes the block at `p`: `write` records it, `serve` does it.
template <class Next, class Write, class Serve>
TIDE_INLINE void taking(const Next& next, const void* frame, Call call, void* p, Write write,
                        Serve serve) {
  ThreadStream* const stream = enter(frame, next.open);
  if (TIDE_UNLIKELY(stream == nullptr)) {
    taken_aside(call, p);
    return serve();
  }
  if (TIDE_UNLIKELY(number(p) == stream->hidden && p != nullptr)) {
    stream->hidden = 0;
    return serve();
  }
  set_busy(*stream, kWriting);
  block_goes(*stream, number(p));
  write(*stream);
  set_busy(*stream, kInCall);
  serve();
  if (TIDE_UNLIKELY(stream->nested_count != 0)) leave_call(*stream, 0);
  set_busy(*stream, kIdle);
}

// Something about the process that is worth a record, outside of all calls: `write` records it if
// the process is being recorded.
template <class Write>
TIDE_INLINE void remark(const void* frame, Opener* open, Write write) {
  ThreadStream* const stream = enter(frame, open);
  if (stream == nullptr) return;
  set_busy(*stream, kWriting);
  write(*stream);
  set_busy(*stream, kIdle);
}

}  // namespace tide::probe
