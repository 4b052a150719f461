// The process's one engine, and malloc, calloc, realloc and free on it without the C rules around
// them (those are in c_family.h).
//
// The path of a malloc: override/malloc.cc -> allocate() here -> heap/fast_path.h; when the
// thread's cache has nothing: allocate_slow() -> heap/engine_blocks.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "api/origin.h"
#include "api/thread_front.h"
#include "base/compiler.h"
#include "heap/engine.h"
#include "heap/fast_path.h"
#include "sys/vm.h"

namespace tide::api {

using RealEngine = heap::Engine<sys::LinuxVm>;

// Defined in heap_root.cc. Hidden also for those who only see the declaration: no detour over the
// global offset table.
extern RealEngine g_engine __attribute__((visibility("hidden")));

// 0 to 3, see hardened.h; fixed when the engine starts.
extern uint32_t g_harden __attribute__((visibility("hidden")));

inline constexpr size_t kUnknownBytes = SIZE_MAX;
inline constexpr size_t kSizeBits = sizeof(heap::CacheFront::small_stack);

void* allocate_slow(size_t bytes, Origin origin = Origin::kMalloc);
// `bytes`: what the caller says the block was asked for with, modulo kSizeBits.
void release_slow(void* p, size_t bytes, Origin origin);

// The engine, started. Starting may fail for lack of memory; all its functions that need it then
// fail likewise.
RealEngine& engine();

// Null with errno ENOMEM when there is no memory. 0 bytes is 1 byte.
TIDE_INLINE void* allocate(size_t bytes) {
  void* const block = heap::allocate_fast(g_engine.space(), *t_front, bytes);
  if (TIDE_LIKELY(block != nullptr)) return block;
  return allocate_slow(bytes);
}

// `p` may be null. Anything but a live block ends the process with one line.
TIDE_INLINE void release(void* p, Origin origin = Origin::kMalloc) {
  if (TIDE_LIKELY(heap::release_fast(g_engine.space(), *t_front, p))) return;
  release_slow(p, kUnknownBytes, origin);
}

// The same for a block that was asked for with `bytes`.
TIDE_INLINE void release_with_size(void* p, size_t bytes, Origin origin) {
  if (TIDE_LIKELY(heap::release_fast_sized(g_engine.space(), *t_front, p, bytes))) return;
  // The fast path has no use for the other bits, and keeping them would cost it an instruction.
  release_slow(p, bytes % kSizeBits, origin);
}

void* allocate_zeroed_slow(size_t bytes);
void* allocate_aligned_slow(size_t alignment, size_t bytes, Origin origin = Origin::kMalloc);
// In a first-class heap.
void* allocate_in_heap(heap::PrivateHeap<sys::LinuxVm>* heap, size_t alignment, size_t bytes,
                       bool zeroed);

// Short blocks are quicker written than looked up, and share their pages with others.
TIDE_INLINE void* allocate_zeroed(size_t bytes) {
  constexpr size_t kShort = 2048;
  if (TIDE_UNLIKELY(bytes > kShort)) return allocate_zeroed_slow(bytes);
  void* const block = allocate(bytes);
  if (TIDE_LIKELY(block != nullptr)) memset(block, 0, bytes);
  return block;
}

// `alignment`: a power of two, which the caller has checked.
TIDE_INLINE void* allocate_aligned(size_t alignment, size_t bytes,
                                   Origin origin = Origin::kMalloc) {
  const bool fits = alignment <= layout::kMidMaxBytes && bytes <= layout::kMidMaxBytes;
  // The tables of hardened mode are for longer blocks, whose class may be aligned to less.
  if (TIDE_LIKELY(fits && g_harden == 0)) {
    void* const block =
        heap::allocate_fast(g_engine.space(), *t_front, layout::bytes_aligned(alignment, bytes));
    if (TIDE_LIKELY(block != nullptr)) return block;
  }
  return allocate_aligned_slow(alignment, bytes, origin);
}

// `p` is not null, `bytes` not 0. Null with ENOMEM leaves the block as it was.
void* reallocate(void* p, size_t bytes);

// 0 for null; what malloc_usable_size says.
size_t usable_size(const void* p);

// The engine's statistics.
void collect_stats(heap::Stats& stats);

// Gives the calling thread's cache and all other free memory back. Returns bytes.
size_t purge();
// The same unless the footprint is at most `target_bytes` already.
size_t purge_to(size_t target_bytes);
// After the engine's limits were set.
void enforce_limits();

// "free" or "realloc" of something that is no live block of ours: one line, and abort.
[[noreturn]] void bad_pointer(const char* call, const void* p);

}  // namespace tide::api
