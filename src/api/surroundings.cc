#include "api/surroundings.h"

#include "api/allocate.h"
#include "api/options.h"
#include "api/pace.h"
#include "base/compiler.h"
#include "sys/clock.h"

namespace tide::api {

namespace {

constinit Pace g_pace{250 * kMillisecond};
TIDE_LARGE sys::GroupRoom g_room;  // for who g_pace lets in

bool refresh_if_due() {
  const uint64_t now = sys::monotonic_ns();
  if (!g_pace.begin(now)) return false;
  const bool changed = refresh_limits(g_room);
  g_pace.end(now, sys::monotonic_ns());
  if (changed) enforce_limits();
  return changed;
}

}  // namespace

bool watch_auto_limits() { return has_auto_limit(options()) && refresh_if_due(); }

void watch_surroundings() {
  if (options().is_on(OptionId::pressure) || has_auto_limit(options())) refresh_if_due();
}

void forget_surroundings() { g_pace.forget(); }

}  // namespace tide::api
