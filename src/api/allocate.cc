#include "api/allocate.h"

#include <cerrno>
#include <cstring>
#include <iterator>

#include "api/background.h"
#include "api/startup.h"
#include "api/surroundings.h"
#include "base/text.h"
#include "sys/libc_heap.h"
#include "sys/report.h"
#include "sys/thread.h"

namespace tide::api {

namespace {

// Every stack empty and full: before a thread's first malloc, and after its end. Many threads may
// have moved a top of these for a moment, so there are null slots below for each of them.
uintptr_t g_null_slots[size_t{64} << 10];
uintptr_t* const kNullSlot = g_null_slots + std::size(g_null_slots) - 1;
constinit heap::CacheFront g_no_cache =
    layout::closed_front(g_null_slots + std::size(g_null_slots) - 1);
constinit heap::CacheFront g_ended =
    layout::closed_front(g_null_slots + std::size(g_null_slots) - 1);

// Two threads that put a top back may leave it lower than it was.
void right(heap::CacheFront& closed) {
  for (uintptr_t*& top : closed.top) {
    if (base::racy_load(top) != kNullSlot) base::racy_store(top, kNullSlot);
  }
}

std::atomic<bool> g_fork_watched{false};

bool has_cache() { return t_front != &g_no_cache && t_front != &g_ended; }

heap::ThreadCache* cache_or_null() {
  return has_cache() ? static_cast<heap::ThreadCache*>(t_front) : nullptr;
}

// What the thread's later destructors allocate and free goes straight to the slabs: no new state
// for a thread that is as good as gone.
void thread_ended(void*) {
  heap::ThreadCache* const cache = cache_or_null();
  t_front = &g_ended;
  if (cache != nullptr) g_engine.park_cache(*cache);
}

void child_after_fork() {
  forget_background();
  forget_surroundings();
  repair_options_in_child();
  g_engine.repair_in_child(cache_or_null());
}

// Leaves a block of each size that a registration may ask for in the thread's own cache.
bool can_register(heap::ThreadCache& cache) {
  for (const size_t bytes : sys::kThreadExitBytes) {
    void* const block = g_engine.allocate_slow(&cache, bytes);
    if (block == nullptr) return false;
    release(block);
  }
  return true;
}

// The calling thread's cache, made if need be. Null when the thread has ended or there is no
// memory.
heap::ThreadCache* own_cache() {
  if (TIDE_LIKELY(has_cache())) return static_cast<heap::ThreadCache*>(t_front);
  right(*t_front);
  if (t_front == &g_ended || !engine().started()) return nullptr;
  heap::ThreadCache* const cache = g_engine.acquire_cache();
  if (cache == nullptr) return nullptr;
  // From here on malloc works in this thread, which the registrations below may call.
  t_front = cache;
  if (!g_fork_watched.exchange(true)) sys::at_fork_in_child(child_after_fork);
  // The main thread's cache serves until the very end: destructors of static objects free a lot.
  // The C library ends the process when it finds no memory for the registration, so make sure
  // first; a thread without one is found by CachePool::park_orphans().
  if (!sys::is_main_thread() && can_register(*cache)) sys::at_thread_exit(thread_ended, nullptr);
  return cache;
}

void* out_of_memory() {
  errno = ENOMEM;
  return nullptr;
}

// The block that `attempt` makes with the calling thread's cache; once more if it was refused and
// limits have changed meanwhile.
template <class Attempt>
TIDE_INLINE void* allocate_by(Attempt attempt) {
  heap::ThreadCache* const cache = own_cache();
  if (TIDE_UNLIKELY(!g_engine.started())) return out_of_memory();
  void* block = attempt(cache);
  if (TIDE_LIKELY(block != nullptr && !g_engine.take_growth())) return block;
  if (watch_auto_limits() && block == nullptr) block = attempt(cache);
  return block != nullptr ? block : out_of_memory();
}

}  // namespace

constinit thread_local heap::CacheFront* t_front = &g_no_cache;

RealEngine& engine() {
  if (TIDE_UNLIKELY(!g_engine.started())) g_engine.start(config_from_options());
  return g_engine;
}

TIDE_NOINLINE void* allocate_slow(size_t bytes) {
  return allocate_by(
      [=](heap::ThreadCache* cache) { return g_engine.allocate_slow(cache, bytes); });
}

TIDE_NOINLINE void* allocate_zeroed_slow(size_t bytes) {
  return allocate_by(
      [=](heap::ThreadCache* cache) { return g_engine.allocate_zeroed(cache, bytes); });
}

TIDE_NOINLINE void* allocate_aligned_slow(size_t alignment, size_t bytes) {
  return allocate_by(
      [=](heap::ThreadCache* cache) { return g_engine.allocate_aligned(cache, alignment, bytes); });
}

TIDE_NOINLINE void release_slow(void* p) {
  if (p == nullptr) return;
  heap::ThreadCache* const cache = own_cache();
  switch (g_engine.release_slow(cache, p)) {
    case heap::Released::kDone:
      if (TIDE_UNLIKELY(g_engine.wants_look(cache))) wake_background();
      return;
    case heap::Released::kForeign:
      if (sys::libc_block_bytes(p) != 0) return sys::libc_free(p);
      [[fallthrough]];
    case heap::Released::kBad:
      bad_pointer("free", p);
  }
}

size_t usable_size(const void* p) {
  if (p == nullptr) return 0;
  const size_t bytes = g_engine.usable_bytes(p);
  if (TIDE_LIKELY(bytes != 0)) return bytes;
  if (const size_t libc_bytes = sys::libc_block_bytes(p)) return libc_bytes;
  bad_pointer("malloc_usable_size", p);
}

void* reallocate(void* p, size_t bytes) {
  size_t usable = g_engine.usable_bytes(p);
  const bool ours = usable != 0;
  if (TIDE_UNLIKELY(!ours)) {
    usable = sys::libc_block_bytes(p);
    if (usable == 0) bad_pointer("realloc", p);
  } else if (void* const same = g_engine.resize(p, usable, bytes)) {
    return same;
  }
  heap::PrivateHeap<sys::LinuxVm>* const heap = ours ? g_engine.heap_of(p) : nullptr;
  void* moved;
  if (TIDE_UNLIKELY(heap != nullptr)) {
    moved = g_engine.heap_allocate(heap, bytes, 0, false);
    if (moved == nullptr) errno = ENOMEM;
  } else {
    moved = allocate(bytes);
  }
  if (moved == nullptr) {
    // A block that only had to become smaller can stay as it is.
    return bytes <= usable ? p : nullptr;
  }
  memcpy(moved, p, bytes < usable ? bytes : usable);
  if (ours) {
    release(p);
  } else {
    sys::libc_free(p);
  }
  return moved;
}

size_t purge() { return g_engine.purge(cache_or_null()); }

size_t purge_to(size_t target_bytes) { return g_engine.purge_to(cache_or_null(), target_bytes); }

void enforce_limits() { g_engine.enforce_limits(cache_or_null()); }

void bad_pointer(const char* call, const void* p) {
  using Kind = heap::PointerInfo::Kind;
  const heap::PointerInfo info = g_engine.describe(p);
  const bool freeing = call[0] == 'f';
  base::TextBuffer<256> line;
  const auto size_of_block = [&] {
    line.put('(').decimal(info.block_bytes).text(info.size_class != 0 ? "-byte class)" : " bytes)");
  };
  switch (info.kind) {
    case Kind::kFree:
      line.text(freeing ? "double free" : call).text(" of ").hex(base::address_of(p)).put(' ');
      if (info.block_bytes != 0) size_of_block();
      if (info.block_bytes == 0) line.text("(large block)");
      if (!freeing) line.text(", which is free already");
      break;
    case Kind::kInside:
      line.text(call).text(" of ").hex(base::address_of(p)).text(", which is inside the ");
      line.text(info.live ? "live" : "free").text(" block at ").hex(info.block).put(' ');
      size_of_block();
      break;
    case Kind::kUnused:
      line.text(call).text(" of ").hex(base::address_of(p));
      line.text(", where no block was ever allocated");
      break;
    case Kind::kForeign:
      line.text(call).text(" of ").hex(base::address_of(p));
      line.text(", which is not memory of this allocator");
      break;
    case Kind::kLive:
      line.text(call).text(" of ").hex(base::address_of(p)).text(", a race with another call");
      break;
  }
  sys::fatal(line.view());
}

}  // namespace tide::api
