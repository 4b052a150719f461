// The calls that the stress makes, in two flavours of one program:
//   TIDE_STRESS_ENGINE=1  the engine linked in, through src/api: for sanitizers, beside their
//   malloc TIDE_STRESS_ENGINE=0  malloc and its family, whatever they are: for LD_PRELOAD
// Heaps, purge and verification are there when the allocator has them.
#pragma once

#include <dlfcn.h>
#include <malloc.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if TIDE_STRESS_ENGINE
#include "api/allocate.h"
#endif

namespace tide::stress {

#if TIDE_STRESS_ENGINE

inline constexpr bool kHasHeaps = true;
using Heap = heap::PrivateHeap<sys::LinuxVm>;

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
  Heap* const heap = api::engine().heap_create(SIZE_MAX);
  if (heap != nullptr && heap->id % 2 == 0) {
    api::engine().heap_set_soft_limit(heap, size_t{1} << 20);
  }
  return heap;
}
inline void* heap_allocate(Heap* heap, size_t bytes) {
  return api::engine().heap_allocate(heap, bytes, 0, false);
}
inline void heap_destroy(Heap* heap) { api::engine().heap_destroy(heap); }
// While no other thread is in the allocator.
inline void verify() { api::engine().verify(); }
inline uint64_t live_blocks() {
  heap::Stats stats;
  api::engine().collect_stats(stats);
  return stats.live_blocks;
}
inline void look_around() {
  heap::Stats stats;
  api::engine().collect_stats(stats);
  api::engine().visit_blocks([](const heap::BlockInfo&, void*) { return true; }, nullptr);
}

#else

inline constexpr bool kHasHeaps = false;
struct Heap;

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
inline Heap* heap_create() { return nullptr; }
inline void* heap_allocate(Heap*, size_t) { return nullptr; }
inline void heap_destroy(Heap*) {}
inline void verify() {}
inline uint64_t live_blocks() { return 0; }
inline void look_around() { mallinfo2(); }

#endif

}  // namespace tide::stress
