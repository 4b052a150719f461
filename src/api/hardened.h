// Hardened mode: what the options `harden` (1 to 3) adds around the engine's blocks.
//
//   1  what is freed is cleared; blocks come in random order; each ends in a seal (seal.h), checked
//      when it is freed or resized; the size given to sized delete must be possible
//   2  freed blocks stay out of use for a while (quarantine.h), and a write to them is found when
//      they leave; freed large blocks may not be touched at once; large blocks end at a guard page
//   3  seals know to the byte how long a block is, sizes and families (malloc, new, new[]) must be
//      right; all blocks are checked again and again while the program runs (audit.cc), and each
//      when it is handed out
//
// Every free takes the slow path (Zone::fast_limit()), and comes here from allocate.cc. Up to level
// 2 malloc is as fast as ever: blocks of size classes get a standing seal when they leave their
// slab, and keep it while they are in caches. At level 3 threads' fronts are closed, and every
// malloc comes here, too. A mistake ends the process with one line.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "api/allocate.h"
#include "api/origin.h"
#include "api/quarantine.h"

namespace tide::api {

// From this level on every call is seen.
inline constexpr uint32_t kExactLevel = 3;
// From this one on large blocks end at guard pages.
inline constexpr uint32_t kGuardLevel = 2;

extern constinit Quarantine g_quarantine __attribute__((visibility("hidden")));

// Reads the option. Before the engine's first block.
void start_hardening(uint32_t level);

struct Request {
  size_t bytes;
  size_t alignment;  // 0: any
  bool zeroed;
  Origin origin;
  heap::PrivateHeap<sys::LinuxVm>* heap;  // null: the process's
};

// A block of the engine for the request, but of `bytes`. Null: no memory.
TIDE_INLINE void* take_block(heap::ThreadCache* cache, const Request& request, size_t bytes) {
  if (request.heap != nullptr) {
    return g_engine.heap_allocate(request.heap, bytes, request.alignment, request.zeroed);
  }
  if (request.alignment != 0) return g_engine.allocate_aligned(cache, request.alignment, bytes);
  if (request.zeroed) return g_engine.allocate_zeroed(cache, bytes);
  return g_engine.allocate_slow(cache, bytes);
}

// Null: no memory.
void* hardened_allocate(heap::ThreadCache* cache, const Request& request);

// `bytes`: what the caller says the block's size is, or kUnknownBytes. False: nothing is done, `p`
// is no live block of the engine.
bool hardened_release(heap::ThreadCache* cache, void* p, Origin origin, size_t bytes);

// What the live block was asked for with; of a broken one the process ends, `call` is in the line.
size_t hardened_bytes(const char* call, const void* p, size_t usable);

// The same as far as it can be told of one that another thread may be making or freeing.
size_t hardened_bytes_at_most(const void* p, size_t usable);

// Makes a block with an exact seal hold `bytes`, more than before, of the room that it has. Of the
// slack behind these only the first bytes are checked: a text that grows piece by piece would have
// all of it read each time. False: not possible, or something is wrong.
bool hardened_grow_in_place(void* p, size_t usable, size_t bytes);

// Makes the block hold `bytes` where it is, or by moving its pages; null: not possible.
void* hardened_resize(void* p, size_t usable, size_t bytes);

// Whether `p` begins a freed large block whose pages may not be touched. The engine counts it as
// live until it leaves.
bool in_quarantine(const void* p);

// In the statistics: free, and not at hand for all.
void count_quarantine_as_cached(heap::Stats& stats);

// All blocks of the heap are about to be dropped, while the caller is SealInFlight.
void clear_heap(heap::PrivateHeap<sys::LinuxVm>* heap);

// What the engine has to know of the level.
void harden(heap::Config& config);

// From now on a fault on one of our guard pages is explained (guarded.h's, too).
void watch_for_faults();

void repair_hardening_in_child();

// Bytes of the block in front of its seal.
size_t room_of(const void* block, size_t usable);
[[noreturn]] void broken_seal(const char* call, const void* block, size_t usable);

}  // namespace tide::api
