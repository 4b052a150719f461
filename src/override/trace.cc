// The functions of trace.h in a process on Tide: they do something while `tide trace --pid` records
// it. libtide-trace.so stands before libtide.so in a process that was started to be recorded, and
// has them, too. No logic: see probe/program_control.h.
#include "tide/trace.h"

#include "api/attach.h"
#include "probe/program_control.h"
#include "sys/path_taken.h"

namespace api = tide::api;
namespace probe = tide::probe;

extern "C" {

// Where libtide-trace.so, in front of this library, sees which path a call of the thread took.
TIDE_EXPORT const uint8_t* tide_path_taken() noexcept { return &tide::sys::t_path_taken; }

TIDE_EXPORT int tide_trace_active() noexcept {
  return probe::trace_active(TIDE_FRAME, api::open_attached) ? 1 : 0;
}

TIDE_EXPORT int tide_trace_pause() noexcept {
  return probe::trace_pause(TIDE_FRAME, api::open_attached);
}
TIDE_EXPORT int tide_trace_resume() noexcept {
  return probe::trace_resume(TIDE_FRAME, api::open_attached);
}
TIDE_EXPORT int tide_trace_stop() noexcept {
  return probe::trace_stop(TIDE_FRAME, api::open_attached);
}
TIDE_EXPORT int tide_trace_sync() noexcept {
  return probe::trace_sync(TIDE_FRAME, api::open_attached);
}
TIDE_EXPORT int tide_trace_reset() noexcept {
  return probe::trace_reset(TIDE_FRAME, api::open_attached);
}
TIDE_EXPORT int tide_trace_marker(const char* name) noexcept {
  return probe::trace_marker(TIDE_FRAME, api::open_attached, name);
}

}  // extern "C"
