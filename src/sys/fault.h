// Memory faults of the process: who put a trap somewhere is told when somebody steps into it.
#pragma once

#include <cstdint>

namespace tide::sys {

// From now on `look(address)` runs in the faulting thread, in a signal handler, when an access to
// `address` fails (SIGSEGV). Whatever it does, the program's own action follows: the handler or the
// default that was there before. A program that sets a handler of its own later takes our place.
// Called once. Keeps errno.
void watch_faults(void (*look)(uintptr_t address));

}  // namespace tide::sys
