// The calls that the stress makes, in two flavours of one program:
//   TIDE_STRESS_ENGINE=1  the engine linked in, through src/api: for sanitizers, beside their
//   malloc TIDE_STRESS_ENGINE=0  malloc and its family, whatever they are: for LD_PRELOAD
// Heaps, purge and verification are there when the allocator has them.
#pragma once

#include <dlfcn.h>
#include <malloc.h>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if TIDE_STRESS_ENGINE
#include "api/allocate.h"
#include "api/control.h"
#include "api/hardened.h"
#else
#include "tide/tide.h"
#endif

namespace tide::stress {

#if TIDE_STRESS_ENGINE

using Heap = tide_heap_t;

inline bool has_heaps() { return true; }
inline void* allocate(size_t bytes) { return api::allocate(bytes); }
inline void* allocate_zeroed(size_t bytes) { return api::allocate_zeroed(bytes); }
inline void* allocate_aligned(size_t alignment, size_t bytes) {
  return api::allocate_aligned(alignment, bytes);
}
inline void* reallocate(void* p, size_t bytes) { return api::reallocate(p, bytes); }
inline void release(void* p) { api::release(p); }
inline size_t usable_bytes(void* p) { return api::usable_size(p); }
inline void purge() { api::purge(); }
// Every second one has a soft limit.
inline Heap* heap_create() {
  static std::atomic<unsigned> turn{0};
  Heap* const heap = api::heap_create(0);
  if (heap != nullptr && turn.fetch_add(1, std::memory_order_relaxed) % 2 == 0) {
    api::heap_set_soft_limit(heap, size_t{1} << 20);
  }
  return heap;
}
inline void* heap_allocate(Heap* heap, size_t bytes) { return api::heap_allocate(heap, 16, bytes); }
inline void heap_destroy(Heap* heap) { api::heap_destroy(heap); }
// While no other thread is in the allocator.
inline void verify() { api::engine().verify(); }
inline uint64_t live_blocks() {
  if (api::g_harden >= 2) return 0;  // those in quarantine count as live
  heap::Stats stats;
  api::engine().collect_stats(stats);
  return stats.live_blocks;
}
inline size_t mapped_bytes() {
  heap::Stats stats;
  api::engine().collect_stats(stats);
  return stats.mapped_bytes;
}
inline void look_around() {
  heap::Stats stats;
  api::engine().collect_stats(stats);
  api::engine().visit_blocks([](const heap::BlockInfo&, void*) { return true; }, nullptr);
}

#else

// Null where the program does not run on Tide.
extern "C" {
extern decltype(tide_heap_create) tide_heap_create __attribute__((weak));
extern decltype(tide_heap_malloc) tide_heap_malloc __attribute__((weak));
extern decltype(tide_heap_destroy) tide_heap_destroy __attribute__((weak));
extern decltype(tide_stats_get) tide_stats_get __attribute__((weak));
}

using Heap = tide_heap_t;

inline bool has_heaps() { return tide_heap_create != nullptr; }
inline void* allocate(size_t bytes) { return malloc(bytes); }
inline void* allocate_zeroed(size_t bytes) { return calloc(1, bytes); }
inline void* allocate_aligned(size_t alignment, size_t bytes) {
  void* p = nullptr;
  const size_t least = alignment < sizeof(void*) ? sizeof(void*) : alignment;
  return posix_memalign(&p, least, bytes) == 0 ? p : nullptr;
}
inline void* reallocate(void* p, size_t bytes) { return realloc(p, bytes); }
inline void release(void* p) { free(p); }
inline size_t usable_bytes(void* p) { return malloc_usable_size(p); }
inline void purge() { malloc_trim(0); }
inline Heap* heap_create() { return tide_heap_create(0); }
inline void* heap_allocate(Heap* heap, size_t bytes) { return tide_heap_malloc(heap, bytes); }
inline void heap_destroy(Heap* heap) { tide_heap_destroy(heap); }
inline void verify() {}
// The program's own containers are on this malloc: no figure is exact.
inline uint64_t live_blocks() { return 0; }
inline size_t mapped_bytes() {
  tide_stats stats{};
  if (tide_stats_get != nullptr) tide_stats_get(&stats, sizeof stats);
  return stats.mapped_bytes;
}
inline void look_around() { mallinfo2(); }

#endif

}  // namespace tide::stress
