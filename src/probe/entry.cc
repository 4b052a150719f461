#include "probe/entry.h"

namespace tide::probe {

void call_was_left(ThreadStream& stream) {
  set_busy(stream, kWriting);
  const Attempt& attempt = stream.attempt;
  // Without a call stack: what is there now is that of who caught the exception.
  record_slow(stream, nullptr,
              {attempt.call,
               0,
               attempt.size,
               0,
               {attempt.form, attempt.alignment},
               attempt.has_form ? 1u + unsigned{attempt.alignment != 0} : 0u,
               false});
  leave_call(stream, 0);
}

TIDE_NOINLINE ThreadStream* enter_aside(const void* frame, Opener* open) {
  ThreadStream& stream = *t_stream;
  switch (stream.busy) {
    case kClosed:
      return open();
    case kWriting:
      count_lost(stream);
      return nullptr;
    case kInCall:
      return nullptr;
    default:
      // An exception has ended the call; stacks grow down.
      if (reinterpret_cast<uintptr_t>(frame) < stream.busy) return nullptr;
      call_was_left(stream);
      set_busy(stream, kIdle);
      return &stream;
  }
}

TIDE_NOINLINE bool is_in_call() {
  const uintptr_t busy = t_stream->busy;
  return busy != kIdle && busy != kWriting && busy != kClosed;
}

TIDE_NOINLINE void given_aside(const NestedBlock& block) { note_nested(*t_stream, block); }

TIDE_NOINLINE void taken_aside(Call call, void* p) {
  if (!is_in_call()) return;
  ThreadStream& stream = *t_stream;
  const uintptr_t busy = stream.busy;
  set_busy(stream, kWriting);
  record_nested_release(stream, call, number(p));
  set_busy(stream, busy);
}

}  // namespace tide::probe
