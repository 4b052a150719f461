// The functions of trace.h in a process that may be recorded.
#include "tide/trace.h"

#include <cerrno>

#include "preload/entry.h"

namespace probe = tide::probe;
namespace format = tide::format;
using namespace tide::preload;
using probe::ControlResult;

namespace {

int as_error(ControlResult result) {
  if (result == ControlResult::kDone) return 0;
  errno = result == ControlResult::kNoAnswer ? EIO : ENOTSUP;
  return -1;
}

// `act` on the thread's stream, if the process has a recording.
template <class Act>
int controlling(const void* frame, Act act) {
  ControlResult result = ControlResult::kNotRecording;
  remark(frame, [&](ThreadStream& stream) { result = act(stream); });
  return as_error(result);
}

template <class Act>
int noting(const void* frame, Act act) {
  return controlling(frame, [&](ThreadStream& stream) {
    if (!probe::is_recording()) return ControlResult::kNotRecording;
    act(stream);
    return ControlResult::kDone;
  });
}

}  // namespace

extern "C" {

TIDE_EXPORT int tide_trace_active() noexcept { return probe::is_recording() ? 1 : 0; }

TIDE_EXPORT int tide_trace_pause() noexcept {
  return controlling(TIDE_FRAME, [](ThreadStream& s) { return probe::pause_recording(s); });
}

TIDE_EXPORT int tide_trace_resume() noexcept {
  return controlling(TIDE_FRAME, [](ThreadStream& s) { return probe::resume_recording(s); });
}

TIDE_EXPORT int tide_trace_stop() noexcept {
  return controlling(TIDE_FRAME, [](ThreadStream&) { return probe::stop_recording(); });
}

TIDE_EXPORT int tide_trace_sync() noexcept {
  return controlling(TIDE_FRAME, [](ThreadStream& s) { return probe::sync_recording(s); });
}

TIDE_EXPORT int tide_trace_reset() noexcept {
  return noting(TIDE_FRAME,
                [](ThreadStream& s) { probe::record_note(s, format::Note::kReset, 0, 0, {}); });
}

TIDE_EXPORT int tide_trace_marker(const char* name) noexcept {
  return noting(TIDE_FRAME,
                [=](ThreadStream& s) { probe::record_note(s, format::Note::kMarker, 0, 0, name); });
}

}  // extern "C"
