// All thread caches of the process: makes them, takes them over from threads that ended, and moves
// blocks between a cache and the process heap.
//
// A cache is used by one thread; the functions that take one are called by that thread, or for a
// parked cache by whoever took it off the list.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>

#include "ds/lock.h"
#include "heap/cache_drain.h"
#include "heap/cache_repair.h"
#include "heap/cache_shelf.h"
#include "heap/config.h"
#include "heap/marks_pool.h"
#include "heap/metadata.h"
#include "heap/process_heap.h"
#include "heap/purge_batch.h"
#include "heap/sample_points.h"
#include "heap/space.h"
#include "heap/stack_places.h"
#include "heap/stack_room.h"
#include "layout/thread_cache.h"
#include "sys/thread.h"

namespace tide::heap {

using layout::ThreadCache;

template <sys::VmSource Vm>
class CachePool {
 public:
  constexpr CachePool() = default;

  // Before anything else: says when caches have to be small.
  void start(const Limits& limits) { limits_ = &limits; }

  // A cache for the calling thread: one that a thread left behind, with what is in it, or a new
  // one. Null when there is no memory.
  ThreadCache* acquire(Space<Vm>& space, Metadata<Vm>& metadata, const Config& config) {
    const int32_t number = sys::lasting_thread_number();  // a system call
    const ds::LockGuard guard(lock_);
    if (parked_ == nullptr && count_ >= kFirstSearch && count_ >= next_search_) park_orphans();
    ThreadCache* cache = parked_;
    if (cache != nullptr) {
      parked_ = cache->next_parked;
      parked_bytes_ -= cache->parked_bytes;
      cache->parked_bytes = 0;
    } else {
      cache = unused(space, metadata);
      if (cache == nullptr) return nullptr;
      base::racy_store(cache->home, static_cast<uint8_t>(next_home_++ % config.homes));
      prepare(*cache, config.tail_bytes);
      cache->random = space.vm.random_seed() ^ base::address_of(cache);
      register_locked(*cache);
    }
    cache->is_rested = false;
    base::racy_store(cache->state, layout::CacheState::kOwned);
    base::racy_store(cache->owner, number);
    return cache;
  }

  // The calling thread ends: the cache waits for another thread, with what is in it if that is not
  // much, so that short threads cost little.
  void park(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache) {
    if (TIDE_UNLIKELY(cache.marks != nullptr)) leave_marks(cache);
    const size_t bytes = bytes_in(cache);
    fit_room(cache);
    {
      const ds::LockGuard guard(lock_);
      if (bytes <= kMostParkedBytes - parked_bytes_) {
        cache.parked_bytes = bytes;
        parked_bytes_ += bytes;
        return park_locked(cache);
      }
    }
    drain(space, heap, cache);
    // The next thread starts small again: what this one needed says nothing about it.
    layout::for_each_stack([&](uint32_t stack, uint32_t) { take_room(cache, stack); });
    base::racy_store(cache.bound_bytes, size_t{0});
    const ds::LockGuard guard(lock_);
    park_locked(cache);
  }

  // After the stack of class `c` turned out to be empty: fetches a batch and returns one block, or
  // null when there is no memory. The state byte is left to the caller.
  void* refill(Space<Vm>& space, ProcessHeap<Vm>& heap, const Config& config, ThreadCache& cache,
               uint32_t c) {
    grow(config, cache, c);
    const uint32_t stack = layout::own_stack(cache, c);
    const uint32_t capacity = layout::stack_capacity(cache, stack);
    if (capacity == 0) {
      void* block = nullptr;
      heap.take(space, cache.home, c, &block, 1);
      return block;
    }
    uint32_t wanted = (capacity + 1) / 2;
    const uint32_t most =
        is_deep(capacity, c) ? 2 * layout::kMaxBatch : layout::kClassInfo[c].batch;
    if (wanted > most) wanted = most;
    // They come into the stack's slots right away, the lowest address last, so that it comes out
    // first: fresh pages are touched in order.
    uintptr_t* const bottom = cache.top[stack];
    const uint32_t count = heap.take(space, cache.home, c, slots(bottom + 1), wanted);
    if (count == 0) return nullptr;
    base::racy_store(cache.taken_bytes,
                     cache.taken_bytes + count * size_t{layout::kClassInfo[c].bytes});
    std::atomic_signal_fence(std::memory_order_release);
    layout::set_top(cache, stack, bottom + count - 1);
    renew_marks(cache, c);
    return reinterpret_cast<void*>(bottom[count]);
  }

  // After a stack turned out to be full: makes room for at least one block.
  // False: the stack has no room at all, the block must go to the heap itself.
  bool make_room(Space<Vm>& space, ProcessHeap<Vm>& heap, const Config& config, ThreadCache& cache,
                 uint32_t stack) {
    const uint32_t c = layout::class_of_stack(stack);
    const uint32_t before = layout::stack_capacity(cache, stack);
    if (layout::is_foreign(cache, stack)) {
      if (config.thread_cache_bytes == 0) return false;
      if (before == 0) {
        base::racy_store(cache.limit[stack], cache.limit[stack] + layout::kForeignSlots);
      } else {
        give_back(space, heap, cache, stack, layout::stack_count(cache, stack));
      }
      return true;
    }
    // Only a thread that also takes blocks is worth more room than a batch: see refill().
    if (before < few_blocks(c) || (before < layout::kClassInfo[c].batch &&
                                   before * layout::kClassInfo[c].bytes < kOneWayBytes)) {
      grow(config, cache, c);
    }
    const uint32_t capacity = layout::stack_capacity(cache, stack);
    if (layout::stack_count(cache, stack) < capacity) return true;
    if (capacity == 0) return false;
    cache.has_spilled[stack] = true;
    const bool shrinks = cache.bound_bytes > share(config.thread_cache_bytes);
    // Of a deep stack less than half: so much is soon wanted again. Of a very deep one half is no
    // more than a program's batch, and what stays has to move down.
    const bool is_quarter = is_deep(capacity, c) && capacity <= kMostForQuarter && !shrinks;
    give_back(space, heap, cache, stack, is_quarter ? capacity / 4 : (capacity + 1) / 2);
    if (TIDE_UNLIKELY(shrinks)) {
      // The bound has come down: what was just given back is not to come again.
      const uint32_t kept = capacity / 2 + 1;
      base::racy_store(cache.limit[stack], layout::stack_bottom(cache, stack) + kept);
      base::racy_store(cache.bound_bytes,
                       cache.bound_bytes - size_t{capacity - kept} * layout::kClassInfo[c].bytes);
    }
    return true;
  }

  // Gives back the blocks of stacks that the thread has not moved since the last time, and what is
  // in the depots of their classes (cache_behind.h).
  void leave_behind(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache);

  // Gives all blocks of the cache back.
  void drain(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache) {
    layout::for_each_stack(
        [&](uint32_t stack, uint32_t c) { empty_stack(space, heap, cache, stack, c); });
  }

  // Drains parked caches, and with visit(cache) what only the engine can. They are off the list for
  // that time. Their own memory goes, too; returns its bytes.
  template <class Visit>
  size_t drain_parked(Space<Vm>& space, ProcessHeap<Vm>& heap, Purger<Vm>& purger, Visit visit) {
    ThreadCache* drained = nullptr;
    while (ThreadCache* const cache = take_unrested()) {
      drain(space, heap, *cache);
      visit(*cache);
      if (cache == &first_ || purger.lazily) {
        const ds::LockGuard guard(lock_);
        park_locked(*cache);
        continue;
      }
      base::racy_store(cache->state, layout::CacheState::kUnused);
      cache->next_parked = drained;
      drained = cache;
    }
    return drained == nullptr ? 0 : shelve(purger, drained);
  }

  // Sees which caches were used since the last time. Returns how many stacks were; `idle_bytes` is
  // what lies in the others.
  uint32_t look(size_t& idle_bytes) {
    const ds::LockGuard guard(drain_lock_);
    uint32_t moved = 0;
    for_each([&](ThreadCache& cache) {
      if (base::racy_load(cache.state) == layout::CacheState::kOwned) {
        moved += CacheDrain<Vm>::look(cache);
        idle_bytes += cache.idle_bytes;
      }
    });
    return moved;
  }

  // Takes idle blocks out of the caches of running threads: of those that have been idle for
  // `looks` looks and have `least_bytes`, or of all. visit(cache) gives back what only the engine
  // can. Returns how many caches were left out because their threads were in the engine.
  template <class Visit>
  uint32_t drain_running(Space<Vm>& space, ProcessHeap<Vm>& heap, Idle idle, size_t least_bytes,
                         uint32_t looks, Visit visit) {
    const ds::LockGuard guard(drain_lock_);
    uint32_t busy = 0;
    for_each([&](ThreadCache& cache) {
      if (base::racy_load(cache.state) != layout::CacheState::kOwned) return;
      if (idle == Idle::kAll ? bytes_in(cache) == 0 && base::racy_load(cache.spans.count) == 0
                             : cache.idle_looks < looks || cache.idle_bytes < least_bytes) {
        return;
      }
      CacheDrain<Vm> drain(space, heap, cache);
      if (!drain.run(idle, visit)) ++busy;
    });
    return busy;
  }

  // What of `bytes` one cache may use: less when there are many, and when memory is short.
  size_t share(size_t bytes) const {
    if (limits_ != nullptr) bytes = limits_->cache_share(bytes);
    constexpr size_t kFewCaches = 16;
    constexpr size_t kLeast = 32;
    const size_t caches = count();
    if (caches <= kFewCaches) return bytes;
    return caches > kFewCaches * kLeast ? bytes / kLeast : bytes * kFewCaches / caches;
  }

  // In a forked child: the caches of the threads that are not here any more wait for new threads,
  // with the blocks that are in them. `mine` may be null.
  void adopt_vanished(ThreadCache* mine) TIDE_NO_THREAD_SAFETY_ANALYSIS {
    parked_ = nullptr;
    parked_bytes_ = 0;
    uint32_t count = 0;
    for (ThreadCache* cache = all_; cache != nullptr; cache = cache->next) {
      ++count;
      const bool drained = cache->gate.load(std::memory_order_relaxed) != layout::kGateOpen;
      if (cache == mine && !drained) continue;  // a page that the child need not copy
      cache->gate.store(layout::kGateOpen, std::memory_order_relaxed);
      cache->busy = false;
      marks_.take(*cache);
      if (drained || cache->has_gone || is_between_stores(*cache)) repair(*cache);
      if (cache == mine) continue;
      cache->parked_bytes = 0;
      cache->is_rested = false;
      park_locked(*cache);
    }
    base::racy_store(count_, count);
    if (mine != nullptr) mine->owner = sys::lasting_thread_number();
  }

  // Gives a cache marks or takes them away, see sample_points.h. False: no memory for them.
  bool enter_marks(Space<Vm>& space, Metadata<Vm>& metadata, ThreadCache& cache) {
    const ds::LockGuard guard(lock_);
    return marks_.give(space, metadata, cache);
  }
  void leave_marks(ThreadCache& cache) {
    const ds::LockGuard guard(lock_);
    marks_.take(cache);
  }

  // Calls visit(cache) for every cache that is not on the shelf; owners go on using theirs
  // meanwhile. Without the drain lock it may end early, when the cache that it is at goes there.
  template <class Visit>
  void for_each(Visit visit) {
    for (ThreadCache* cache = base::published_load(all_); cache != nullptr;
         cache = base::published_load(cache->next)) {
      visit(*cache);
    }
  }

  uint32_t count() const { return base::racy_load(count_); }
  ds::Lock<ds::Rank::kCaches>& lock() { return lock_; }
  ds::Lock<ds::Rank::kDrain>& drain_lock() { return drain_lock_; }

 private:
  friend struct EngineMap;

  static constexpr uint32_t kMostForQuarter = 1024 + 2 * layout::kMaxBatch;
  static constexpr size_t kOneWayBytes = layout::kBatchBytes / 2;
  static constexpr uint32_t kFirstSearch = 16;
  // Most that parked caches may keep, all together.
  static constexpr size_t kMostParkedBytes = size_t{2} << 20;

  void grow(const Config& config, ThreadCache& cache, uint32_t c) const {
    const bool is_limited = limits_ != nullptr && limits_->hard() != 0;
    grow_stack(cache, c, share(config.thread_cache_bytes), is_limited);
  }

  static size_t bytes_in(ThreadCache& cache) {
    size_t total = base::racy_load(cache.waiting.bytes);
    layout::for_each_stack([&](uint32_t stack, uint32_t c) {
      total += size_t{layout::stack_count(cache, stack)} * layout::kClassInfo[c].bytes;
    });
    return total;
  }

  // A thread that mallocs for the first time in one of its last destructors ends without telling
  // us. Looks for such caches when there are twice as many caches as were in use the last time.
  void park_orphans() TIDE_REQUIRES(lock_) {
    uint32_t in_use = 0;
    for (ThreadCache* cache = all_; cache != nullptr; cache = cache->next) {
      if (cache->state == layout::CacheState::kOwned && cache->owner != 0 &&
          sys::thread_is_gone(cache->owner)) {
        park_locked(*cache);
      } else if (cache->state == layout::CacheState::kOwned) {
        ++in_use;
      }
    }
    next_search_ = in_use < kFirstSearch / 2 ? kFirstSearch : 2 * in_use;
  }

  // A cache that is all zero, new or from the shelf. Null when there is no memory.
  ThreadCache* unused(Space<Vm>& space, Metadata<Vm>& metadata) TIDE_REQUIRES(lock_) {
    if (!first_used_) {
      first_used_ = true;
      return &first_;
    }
    if (ThreadCache* const cache = shelf_.take()) return cache;
    if (!shelf_.make_room(space.vm, space.limits, metadata)) return nullptr;
    const size_t page = space.vm.page_size();
    return static_cast<ThreadCache*>(metadata.allocate(space.vm, space.limits,
                                                       base::align_up(sizeof(ThreadCache), page),
                                                       page, layout::kUsualCacheBytes));
  }

  void register_locked(ThreadCache& cache) TIDE_REQUIRES(lock_) {
    base::racy_store(cache.next, all_);
    base::published_store(all_, &cache);  // pairs with for_each()
    base::racy_store(count_, count_ + 1);
  }

  // Gives the memory of caches back that are unused by now, a chain by next_parked. Returns bytes.
  size_t shelve(Purger<Vm>& purger, ThreadCache* chain) {
    {
      const ds::LockGuard no_drain(drain_lock_);
      const ds::LockGuard guard(lock_);
      for (ThreadCache** link = &all_; *link != nullptr;) {
        ThreadCache& cache = **link;
        if (cache.state != layout::CacheState::kUnused) {
          link = &cache.next;
          continue;
        }
        base::published_store(*link, cache.next);
        base::racy_store(count_, count_ - 1);
      }
    }
    const size_t bytes = base::align_up(sizeof(ThreadCache), purger.vm.page_size());
    size_t total = 0;
    while (chain != nullptr) {
      ThreadCache& cache = *chain;
      chain = cache.next_parked;
      const bool gone = purger.give_back(base::address_of(&cache), bytes);
      const ds::LockGuard guard(lock_);
      if (gone) {
        total += bytes;
        shelf_.put(&cache);
      } else {
        register_locked(cache);
        park_locked(cache);
      }
    }
    return total;
  }

  static void prepare(ThreadCache& cache, uint32_t tail_bytes) {
    lay_out_stacks(cache);
    layout::fill_tables(cache, cache.home, tail_bytes);
  }

  // A parked cache that has not been drained since it was used, taken off the list.
  ThreadCache* take_unrested() {
    const ds::LockGuard guard(lock_);
    for (ThreadCache** link = &parked_; *link != nullptr; link = &(*link)->next_parked) {
      ThreadCache* const cache = *link;
      if (cache->is_rested) continue;
      *link = cache->next_parked;
      parked_bytes_ -= cache->parked_bytes;
      cache->parked_bytes = 0;
      cache->is_rested = true;
      return cache;
    }
    return nullptr;
  }

  void park_locked(ThreadCache& cache) TIDE_REQUIRES(lock_) {
    marks_.take(cache);
    base::racy_store(cache.state, layout::CacheState::kParked);
    cache.next_parked = parked_;
    parked_ = &cache;
  }

  static layout::BlockSlot* slots(uintptr_t* slot) {
    return reinterpret_cast<layout::BlockSlot*>(slot);
  }

  // The `count` oldest blocks of a stack leave; those used last stay.
  void give_back(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache, uint32_t stack,
                 uint32_t count) {
    const uint32_t c = layout::class_of_stack(stack);
    if (!layout::is_foreign(cache, stack)) open_to_renew(cache, c);
    uintptr_t* const bottom = layout::stack_bottom(cache, stack);
    const uint32_t left = layout::stack_count(cache, stack) - count;
    cache.freed_bytes += count * size_t{layout::kClassInfo[c].bytes};
    // A fork between these steps finds an empty stack: blocks are lost there, never doubled.
    layout::set_top(cache, stack, bottom);
    std::atomic_signal_fence(std::memory_order_release);
    heap.give(space, c, slots(bottom + 1), count);
    memmove(bottom + 1, bottom + 1 + count, left * sizeof *bottom);
    std::atomic_signal_fence(std::memory_order_release);
    layout::set_top(cache, stack, bottom + left);
  }

  void empty_stack(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache, uint32_t stack,
                   uint32_t c) {
    const uint32_t count = layout::stack_count(cache, stack);
    if (count == 0) return;
    give_back(space, heap, cache, stack, count);
    if (!layout::is_foreign(cache, stack)) close_stack(cache, c);
  }

  const Limits* limits_ = nullptr;
  ds::Lock<ds::Rank::kCaches> lock_;
  ds::Lock<ds::Rank::kDrain> drain_lock_;  // held by who drains the caches of others
  ThreadCache* all_ = nullptr;
  ThreadCache* parked_ TIDE_GUARDED_BY(lock_) = nullptr;
  CacheShelf<Vm> shelf_ TIDE_GUARDED_BY(lock_);
  uint32_t next_home_ TIDE_GUARDED_BY(lock_) = 0;
  size_t parked_bytes_ TIDE_GUARDED_BY(lock_) = 0;
  MarksPool marks_ TIDE_GUARDED_BY(lock_);
  uint32_t count_ = 0;
  uint32_t next_search_ TIDE_GUARDED_BY(lock_) = 0;  // caches at which orphans are looked for
  bool first_used_ TIDE_GUARDED_BY(lock_) = false;
  ThreadCache first_{};  // saves a single-threaded process a mapping
};

}  // namespace tide::heap
