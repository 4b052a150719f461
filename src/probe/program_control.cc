#include "probe/program_control.h"

#include <cerrno>

namespace tide::probe {

namespace {

int as_error(ControlResult result) {
  if (result == ControlResult::kDone) return 0;
  errno = result == ControlResult::kNoAnswer ? EIO : ENOTSUP;
  return -1;
}

// `act` on the thread's stream, if the process has a recording.
template <class Act>
int controlling(const void* frame, Opener* open, Act act) {
  ControlResult result = ControlResult::kNotRecording;
  remark(frame, open, [&](ThreadStream& stream) { result = act(stream); });
  return as_error(result);
}

template <class Act>
int noting(const void* frame, Opener* open, Act act) {
  return controlling(frame, open, [&](ThreadStream& stream) {
    if (!is_recording()) return ControlResult::kNotRecording;
    act(stream);
    return ControlResult::kDone;
  });
}

}  // namespace

bool trace_active(const void* frame, Opener* open) {
  bool is_active = false;
  remark(frame, open, [&](ThreadStream&) { is_active = is_recording(); });
  return is_active;
}

int trace_pause(const void* frame, Opener* open) {
  return controlling(frame, open, [](ThreadStream& s) { return pause_recording(s); });
}

int trace_resume(const void* frame, Opener* open) {
  return controlling(frame, open, [](ThreadStream& s) { return resume_recording(s); });
}

int trace_stop(const void* frame, Opener* open) {
  return controlling(frame, open, [](ThreadStream&) { return stop_recording(); });
}

int trace_sync(const void* frame, Opener* open) {
  return controlling(frame, open, [](ThreadStream& s) { return sync_recording(s); });
}

int trace_reset(const void* frame, Opener* open) {
  return noting(frame, open,
                [](ThreadStream& s) { record_note(s, format::Note::kReset, 0, 0, {}); });
}

int trace_marker(const void* frame, Opener* open, const char* name) {
  return noting(frame, open,
                [=](ThreadStream& s) { record_note(s, format::Note::kMarker, 0, 0, name); });
}

}  // namespace tide::probe
