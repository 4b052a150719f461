// What is around the process and may change while it runs: the limits of its control group and the
// system's shortage of memory. Read by the program's own threads, in slow paths, a few times a
// second at most and only while they allocate or free much: the helper must not open files, and a
// descriptor that is kept open would be in the program's way. All functions keep errno.
#pragma once

namespace tide::api {

// After the heap has grown by a MiB, or memory was refused. Only where a limit is `auto`. True: the
// limits have changed, and what is free and above them has gone.
bool watch_auto_limits();

// After much was freed: the same, and pressure.
void watch_surroundings();

// In a forked child.
void forget_surroundings();

}  // namespace tide::api
