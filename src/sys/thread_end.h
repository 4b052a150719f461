// A callback at the end of threads that costs no allocation and comes before most of what others
// do at that time.
#pragma once

namespace tide::sys {

// Called once, early. False: there is no place for it (a key of pthread_key_create's, one of those
// that threads have room for).
bool watch_thread_ends(void (*callback)(void* argument));

// From now on `callback(argument)` runs when the calling thread ends.
void watch_this_thread(void* argument);

}  // namespace tide::sys
