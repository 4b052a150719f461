// What all functions of this library begin with: probe/entry.h with the recording that the
// environment asks for.
#pragma once

#include "preload/next.h"
#include "probe/large_blocks.h"
#include "probe/recorder.h"
#include "probe/entry.h"

namespace tide::preload {

using probe::Call;
using probe::number;
using probe::set_busy;
using probe::ThreadStream;

TIDE_INLINE ThreadStream* enter(const void* frame) {
  return probe::enter(frame, NextFunctions::open);
}

// The compiler must not move records out of what signal handlers see as such.
TIDE_INLINE void set_busy(ThreadStream& stream, uintptr_t busy) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  stream.busy = busy;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Next's malloc_usable_size, if the trace is to have such sizes.
using UsableSize = size_t(void*);
extern constinit UsableSize* g_usable_size;

TIDE_INLINE uint64_t slack_of(void* p, size_t bytes) {
  if (g_usable_size == nullptr || p == nullptr) return 0;
  const size_t usable = g_usable_size(p);
  return usable > bytes ? usable - bytes : 0;
}

TIDE_INLINE uint64_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }

// After the next library has served a call with `result`, the block that it gave, if any.
TIDE_INLINE void leave_call(ThreadStream& stream, uint64_t result) {
  set_busy(stream, probe::kWriting);
  if (TIDE_UNLIKELY(stream.nested_count != 0)) probe::record_nested(stream, result);
}

// A call that nobody recorded has given `p`: perhaps it was inside of one that is.
void given_aside(Call call, void* p, size_t bytes, bool has_extra, uint64_t extra);
// The same for one that takes it, before it does.
void taken_aside(Call call, void* p);

// A call that gives a block: `serve` makes it, `write(stream, block, slack)` records it. `busy`:
// what the thread is meanwhile; `aside(block)`: what there is to do where the call passes
// unrecorded; `bytes`: what the slack is counted from; `all`: what was asked for, if it succeeds.
template <class Serve, class Aside, class Write>
TIDE_INLINE void* giving_by(const void* frame, uintptr_t busy, size_t bytes, size_t all,
                            Serve serve, Aside aside, Write write) {
  ThreadStream* const stream = enter(frame);
  if (TIDE_UNLIKELY(stream == nullptr)) {
    void* const p = serve();
    aside(p);
    return p;
  }
  set_busy(*stream, busy);
  void* const p = serve();
  const uint64_t slack = slack_of(p, bytes);
  leave_call(*stream, number(p));
  write(*stream, number(p), slack);
  probe::block_came(number(p), all);
  set_busy(*stream, probe::kIdle);
  return p;
}

// One that has no extras.
template <class Serve>
TIDE_INLINE void* giving(const void* frame, Call call, size_t bytes, Serve serve) {
  return giving_by(
      frame, probe::kInCall, bytes, bytes, serve,
      [=](void* p) { given_aside(call, p, bytes, false, 0); },
      [=](ThreadStream& stream, uint64_t block, uint64_t slack) {
        probe::record(stream, frame, call, block, bytes, slack);
      });
}

// One that has one extra.
template <class Serve>
TIDE_INLINE void* giving_with(const void* frame, Call call, size_t bytes, uint64_t extra,
                              size_t all, Serve serve) {
  return giving_by(
      frame, probe::kInCall, bytes, all, serve,
      [=](void* p) { given_aside(call, p, bytes, true, extra); },
      [=](ThreadStream& stream, uint64_t block, uint64_t slack) {
        probe::record_with(stream, frame, call, block, bytes, slack, extra);
      });
}

// A call that takes the block at `p`: `write` records it, `serve` does it.
template <class Write, class Serve>
TIDE_INLINE void taking(const void* frame, Call call, void* p, Write write, Serve serve) {
  ThreadStream* const stream = enter(frame);
  if (TIDE_UNLIKELY(stream == nullptr)) {
    taken_aside(call, p);
    return serve();
  }
  if (TIDE_UNLIKELY(number(p) == stream->hidden && p != nullptr)) {
    stream->hidden = 0;
    return serve();
  }
  set_busy(*stream, probe::kWriting);
  probe::block_goes(*stream, number(p));
  write(*stream);
  set_busy(*stream, probe::kInCall);
  serve();
  if (TIDE_UNLIKELY(stream->nested_count != 0)) leave_call(*stream, 0);
  set_busy(*stream, probe::kIdle);
}

// Something about the process that is worth a record, outside of all calls: `write` records it if
// the process is being recorded.
template <class Write>
TIDE_INLINE void remark(const void* frame, Write write) {
  probe::remark(frame, NextFunctions::open, write);
}

}  // namespace tide::preload
