// The functions of trace.h in a process that may be recorded. No logic: see
// probe/program_control.h.
#include "tide/trace.h"

#include "preload/next.h"
#include "probe/program_control.h"

namespace probe = tide::probe;

namespace {

constexpr probe::Opener* kOpen = tide::preload::NextFunctions::open;

}  // namespace

extern "C" {

TIDE_EXPORT int tide_trace_active() noexcept {
  return probe::trace_active(TIDE_FRAME, kOpen) ? 1 : 0;
}

TIDE_EXPORT int tide_trace_pause() noexcept { return probe::trace_pause(TIDE_FRAME, kOpen); }
TIDE_EXPORT int tide_trace_resume() noexcept { return probe::trace_resume(TIDE_FRAME, kOpen); }
TIDE_EXPORT int tide_trace_stop() noexcept { return probe::trace_stop(TIDE_FRAME, kOpen); }
TIDE_EXPORT int tide_trace_sync() noexcept { return probe::trace_sync(TIDE_FRAME, kOpen); }
TIDE_EXPORT int tide_trace_reset() noexcept { return probe::trace_reset(TIDE_FRAME, kOpen); }
TIDE_EXPORT int tide_trace_marker(const char* name) noexcept {
  return probe::trace_marker(TIDE_FRAME, kOpen, name);
}

}  // extern "C"
