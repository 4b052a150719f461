// What stands between a thread and its cache: the front that malloc and free look at, and how a
// thread comes to have one and loses it.
//
// A front is closed when every stack in it is empty and full: all calls then take the slow path.
// Shared ones stand in before a thread's first malloc and after its end. Where every call must be
// seen (level 3 of hardened mode, guards for most allocations) the thread's front stays closed for
// good, and its cache is behind it.
#pragma once

#include "heap/cache_use.h"
#include "heap/fast_path.h"

namespace tide::api {

// The calling thread's front. Eight bytes of initial-exec TLS are all that a thread costs before
// its first malloc.
extern constinit thread_local heap::CacheFront* t_front
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

// What stands in before a thread's first malloc, and after its end.
extern constinit heap::CacheFront g_no_cache __attribute__((visibility("hidden")));

// Whether all threads' fronts are closed.
extern bool g_sees_every_call __attribute__((visibility("hidden")));
// From now on no thread's calls are served without the slow path. Before the first cache is made.
inline void see_every_call() { g_sees_every_call = true; }

// The calling thread's cache; null when it has none.
TIDE_INLINE heap::ThreadCache* cache_or_null() {
  heap::CacheFront* const front = t_front;
  if (front == &g_no_cache) return nullptr;
  if (TIDE_UNLIKELY(g_sees_every_call)) return static_cast<layout::ClosedFront*>(front)->cache;
  return static_cast<heap::ThreadCache*>(front);
}

// The same, made if need be. Null when the thread has ended or there is no memory.
TIDE_COLD heap::ThreadCache* make_cache();
TIDE_INLINE heap::ThreadCache* own_cache() {
  heap::ThreadCache* const cache = cache_or_null();
  return TIDE_LIKELY(cache != nullptr) ? cache : make_cache();
}

}  // namespace tide::api
