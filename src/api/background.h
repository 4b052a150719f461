// Lets a helper thread look at the heap while there may be something to give back.
#pragma once

namespace tide::api {

// After a free that made the engine want a look: starts the helper unless it runs. Where there can
// be none, looks at the heap itself now and then. Keeps errno.
void wake_background();

// In a forked child.
void forget_background();

}  // namespace tide::api
