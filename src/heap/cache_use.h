// What a thread does around its slow paths, so that another one can take what lies idle out of its
// cache: see cache_drain.h.
//
// Neither side uses a fence or an atomic read-modify-write here. The thread says "busy" and then
// looks at the gate; the other one shuts the gate, makes every thread of the process pass a barrier
// (membarrier(2)) and then looks at "busy": at least one of them sees the other.
#pragma once

#include <atomic>
#include <cstring>

#include "base/compiler.h"
#include "base/racy.h"
#include "heap/sample_points.h"
#include "layout/thread_cache.h"
#include "sys/futex.h"
#include "sys/thread.h"

namespace tide::heap {

using layout::ThreadCache;

// What CacheUse does for the thread's own cache, without a call. False: there is something to wait
// for, or to do first; nothing has changed, and CacheUse sees to it.
TIDE_INLINE bool begin_use(ThreadCache& cache) {
  base::racy_store(cache.busy, true);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (TIDE_LIKELY(cache.gate.load(std::memory_order_acquire) == layout::kGateOpen &&
                  !cache.has_gone)) {
    return true;
  }
  base::published_store(cache.busy, false);
  return false;
}
TIDE_INLINE void end_use(ThreadCache& cache) { base::published_store(cache.busy, false); }

// Held by a thread while it is in a slow path with its cache; null stands for a thread without.
class CacheUse {
 public:
  explicit CacheUse(ThreadCache* cache) : cache_(cache) {
    if (cache == nullptr) return;
    base::racy_store(cache->busy, true);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (TIDE_UNLIKELY(cache->gate.load(std::memory_order_acquire) != layout::kGateOpen)) {
      wait_until_open(*cache);
    }
    if (TIDE_UNLIKELY(cache->has_gone)) close_gaps(*cache);
  }
  ~CacheUse() {
    if (cache_ != nullptr) base::published_store(cache_->busy, false);
  }
  CacheUse(const CacheUse&) = delete;
  CacheUse& operator=(const CacheUse&) = delete;

  // Moves the blocks of every stack down over the slots that were emptied from outside.
  static TIDE_COLD void close_gaps(ThreadCache& cache) {
    layout::for_each_stack([&](uint32_t stack, uint32_t c) {
      const uint32_t gone = cache.gone[stack];
      if (gone == 0) return;
      const bool has_marks = !layout::is_foreign(cache, stack);
      if (has_marks) open_stack(cache, c);
      uintptr_t* const bottom = layout::stack_bottom(cache, stack);
      const uint32_t count = layout::stack_count(cache, stack);
      // A fork between these steps finds an empty stack: blocks are lost there, never doubled.
      layout::set_top(cache, stack, bottom);
      std::atomic_signal_fence(std::memory_order_release);
      memmove(bottom + 1, bottom + 1 + gone, count * sizeof *bottom);
      base::racy_store(cache.gone[stack], uint16_t{0});
      std::atomic_signal_fence(std::memory_order_release);
      layout::set_top(cache, stack, bottom + count);
      if (!has_marks) return;
      renew_marks(cache, c);
      close_stack(cache, c);
    });
    cache.has_gone = false;
  }

 private:
  static TIDE_COLD void wait_until_open(ThreadCache& cache) {
    do {
      base::published_store(cache.busy, false);
      sys::finish_fork();  // whoever shut it may have stayed behind in the parent
      uint32_t shut = layout::kGateShut;
      cache.gate.compare_exchange_strong(shut, layout::kGateAwaited);
      if (shut != layout::kGateOpen) sys::futex_wait(&cache.gate, layout::kGateAwaited);
      base::racy_store(cache.busy, true);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } while (cache.gate.load(std::memory_order_acquire) != layout::kGateOpen);
  }

  ThreadCache* const cache_;
};

}  // namespace tide::heap
