// The functions of trace.h in a process that is not recorded: libtide-trace.so, which stands before
// libtide.so in one that is, has those that do something.
#include "tide/trace.h"

#include <cerrno>

#include "base/compiler.h"

namespace {

int not_recorded() {
  errno = ENOTSUP;
  return -1;
}

}  // namespace

extern "C" {

TIDE_EXPORT int tide_trace_active() noexcept { return 0; }
TIDE_EXPORT int tide_trace_pause() noexcept { return not_recorded(); }
TIDE_EXPORT int tide_trace_resume() noexcept { return not_recorded(); }
TIDE_EXPORT int tide_trace_stop() noexcept { return not_recorded(); }
TIDE_EXPORT int tide_trace_reset() noexcept { return not_recorded(); }
TIDE_EXPORT int tide_trace_sync() noexcept { return not_recorded(); }
TIDE_EXPORT int tide_trace_marker(const char* /*name*/) noexcept { return not_recorded(); }

}  // extern "C"
