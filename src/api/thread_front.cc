#include "api/thread_front.h"

#include <iterator>

#include "api/allocate.h"
#include "api/attach.h"
#include "api/background.h"
#include "api/guarded.h"
#include "api/hardened.h"
#include "api/profile.h"
#include "api/startup.h"
#include "api/surroundings.h"
#include "sys/thread.h"

namespace tide::api {

namespace {

// Many threads may have moved a top of the shared fronts for a moment, so there are null slots
// below for each of them. Only the last is touched: it lies with the small variables behind it.
__attribute__((section(".bss.before"))) uintptr_t g_null_slots[size_t{64} << 10];
uintptr_t* const kNullSlot = g_null_slots + std::size(g_null_slots) - 1;
std::atomic<bool> g_fork_watched{false};
constinit thread_local bool t_has_ended __attribute__((tls_model("initial-exec"))) = false;

// Two threads that put a top back may leave it lower than it was.
void right(heap::CacheFront& closed) {
  for (uintptr_t*& top : closed.top) {
    if (base::racy_load(top) != kNullSlot) base::racy_store(top, kNullSlot);
  }
}

// In front of the cache, so that threads do not write the lines of a shared one all the time.
heap::CacheFront* front_of(heap::ThreadCache& cache) {
  if (TIDE_LIKELY(!g_sees_every_call)) return &cache;
  if (cache.closed.cache == nullptr) {
    layout::close_front(cache.closed, &cache.closed.null_slots[1]);
    cache.closed.cache = &cache;
  }
  return &cache.closed;
}

// What the thread's later destructors allocate and free goes straight to the slabs: no new state
// for a thread that is as good as gone.
void thread_ended(void*) {
  heap::ThreadCache* const cache = cache_or_null();
  t_has_ended = true;
  t_front = &g_no_cache;
  if (cache != nullptr) g_engine.park_cache(*cache);
}

void child_after_fork() {
  forget_starting();
  forget_background();
  forget_surroundings();
  repair_options_in_child();
  repair_guards_in_child();
  repair_profile_in_child();
  repair_hardening_in_child();
  g_engine.repair_in_child(cache_or_null());
}

// Leaves a block of each size that a registration may ask for in the thread's own cache.
bool can_register() {
  for (const size_t bytes : sys::kThreadExitBytes) {
    void* const block = allocate_slow(bytes);
    if (block == nullptr) return false;
    release(block);
  }
  return true;
}

}  // namespace

constinit heap::CacheFront g_no_cache =
    layout::closed_front(g_null_slots + std::size(g_null_slots) - 1);
constinit thread_local heap::CacheFront* t_front = &g_no_cache;
bool g_sees_every_call = false;

heap::ThreadCache* make_cache() {
  right(*t_front);
  if (t_has_ended || !engine().started()) return nullptr;
  heap::ThreadCache* const cache = g_engine.acquire_cache();
  if (cache == nullptr) return nullptr;
  // From here on malloc works in this thread, which the registrations below may call.
  t_front = front_of(*cache);
  if (!g_fork_watched.exchange(true)) {
    describe_threads();
    sys::at_fork_in_child(child_after_fork);
  }
  // The main thread's cache serves until the very end: destructors of static objects free a lot.
  // The C library ends the process when it finds no memory for the registration, so make sure
  // first; a thread without one is found by CachePool::park_orphans().
  if (!sys::is_main_thread(cache->owner) && can_register())
    sys::at_thread_exit(thread_ended, nullptr);
  return cache;
}

}  // namespace tide::api
