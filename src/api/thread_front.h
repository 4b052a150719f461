// What stands between a thread and its cache: the front that malloc and free look at, and how a
// thread comes to have one and loses it.
//
// A front is closed when every stack in it is empty and full: all calls then take the slow path.
// Shared ones stand in before a thread's first malloc and after its end. Where every call must be
// seen (hardened mode, guards for most allocations) the thread's front stays closed for good, and
// its cache is behind it.
#pragma once

#include "heap/cache_use.h"
#include "heap/fast_path.h"

namespace tide::api {

// The calling thread's front. Eight bytes of initial-exec TLS are all that a thread costs before
// its first malloc.
extern constinit thread_local heap::CacheFront* t_front
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

// The calling thread's cache, made if need be. Null when the thread has ended or there is no
// memory.
heap::ThreadCache* own_cache();

// The same, but never made.
heap::ThreadCache* cache_or_null();

// From now on no thread's calls are served without the slow path. Before the first cache is made.
void see_every_call();
bool sees_every_call();

}  // namespace tide::api
