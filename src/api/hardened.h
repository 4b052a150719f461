// Hardened mode: what the options `harden` (1 to 3) adds around the engine's blocks.
//
//   1  what is freed is cleared; blocks come in random order; each ends in a seal (seal.h), checked
//      when it is freed or resized; the size given to sized delete must be right
//   2  freed blocks stay out of use for a while (quarantine.h), and a write to them is found when
//      they leave; freed large blocks may not be touched at once; large blocks end at a guard page
//   3  all blocks are checked again and again while the program runs (audit.cc), each block when it
//      is handed out; malloc, new and new[] must be paired with free, delete and delete[]
//
// In this mode no call is served by the fast path: the thread's front stays closed, and the slow
// paths of allocate.cc come here. A mistake ends the process with one line.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "api/allocate.h"
#include "api/origin.h"

namespace tide::api {

// 0 to 3; fixed when the engine starts.
extern uint32_t g_harden __attribute__((visibility("hidden")));

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

// `p` must be a live block of the engine with `usable` bytes there, not 0. `bytes`: what the caller
// says its size is, or kUnknownBytes.
void hardened_release(heap::ThreadCache* cache, void* p, size_t usable, Origin origin,
                      size_t bytes);

// What the live block was asked for with; of a broken one the process ends, `call` is in the line.
size_t hardened_bytes(const char* call, const void* p, size_t usable);

// Makes the block hold `bytes` where it is, or by moving its pages; null: not possible.
void* hardened_resize(void* p, size_t usable, size_t bytes);

// Whether `p` begins a freed large block whose pages may not be touched. The engine counts it as
// live until it leaves.
bool in_quarantine(const void* p);

// In the statistics: free, and not at hand for all.
void count_quarantine_as_cached(heap::Stats& stats);

// All blocks of the heap are about to be dropped.
void clear_heap(heap::PrivateHeap<sys::LinuxVm>* heap);

// From now on a fault on one of our guard pages is explained (guarded.h's, too).
void watch_for_faults();

void repair_hardening_in_child();

// --- audit.cc

// Now and then one of these checks every live block.
void audit_if_due();

// Around everything in which a block may be live for the engine and have no seal yet, or no more.
class SealInFlight {
 public:
  SealInFlight();
  ~SealInFlight();
  SealInFlight(const SealInFlight&) = delete;
  SealInFlight& operator=(const SealInFlight&) = delete;

 private:
  std::atomic<int32_t>* active_;  // null: blocks are not audited
};

void repair_audit_in_child();

// The secret behind the seals.
uint64_t seal_secret();
// Bytes of the block in front of its seal.
size_t room_of(const void* block, size_t usable);
[[noreturn]] void broken_seal(const char* call, const void* block, size_t usable);

}  // namespace tide::api
