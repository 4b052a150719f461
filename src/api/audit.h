// Hardened level 3: every now and then all live blocks are checked, while no thread is in the
// middle of making or freeing one.
#pragma once

#include <atomic>
#include <cstdint>

#include "api/thread_front.h"
#include "base/compiler.h"
#include "base/racy.h"

namespace tide::api {

// Whether there are audits, and whether it costs a thread nothing but two stores to be seen by
// them.
extern bool g_audits __attribute__((visibility("hidden")));
extern bool g_audits_fence __attribute__((visibility("hidden")));
// 1: an audit is going on.
extern std::atomic<uint32_t> g_audit_door __attribute__((visibility("hidden")));

// Before the first block, if there are to be audits.
void start_audits();

// Around everything in which a block may be live for the engine and have no seal yet, or no more.
//
// Says so in the thread's cache; a thread without one, or any where the system has no barrier for
// all threads, in one of a few shared counters.
class SealInFlight {
 public:
  // `cache`: the calling thread's, may be null.
  explicit TIDE_INLINE SealInFlight(heap::ThreadCache* cache) {
    if (!g_audits) return;
    if (TIDE_UNLIKELY(cache == nullptr || !g_audits_fence)) {
      enter_counted();
      return;
    }
    cache_ = cache;
    base::racy_store(cache->in_flight, cache->in_flight + 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (TIDE_UNLIKELY(g_audit_door.load(std::memory_order_relaxed) != 0)) wait_outside();
  }
  TIDE_INLINE ~SealInFlight() {
    if (cache_ != nullptr) base::published_store(cache_->in_flight, cache_->in_flight - 1);
    if (counter_ != nullptr) counter_->fetch_sub(1);
  }
  SealInFlight(const SealInFlight&) = delete;
  SealInFlight& operator=(const SealInFlight&) = delete;

 private:
  void enter_counted();
  void wait_outside();

  heap::ThreadCache* cache_ = nullptr;
  std::atomic<int32_t>* counter_ = nullptr;
};

constexpr uint32_t kFreesToAudit = 1 << 16;
void audit_if_time();
// After a free of the calling thread.
TIDE_INLINE void audit_if_due(heap::ThreadCache* cache) {
  if (cache != nullptr && TIDE_UNLIKELY(++cache->frees % kFreesToAudit == 0)) audit_if_time();
}

// Once more when the process ends: blocks that wait, from level 2 on, and at level 3 live ones.
void audit_at_exit();

void repair_audit_in_child();

}  // namespace tide::api
