// The heap as a whole: what the API asks for, and who does it.
//
//   fast_path.h      malloc and free when the thread cache has it
//   cache_pool.h     thread caches and their exchange with the process heap
//   process_heap.h   depots and slabs per size class          class_slabs.h, zone.h
//   large_zone.h     64 KiB to 32 MiB: spans                  span_lists.h
//   huge_blocks.h    above: a mapping each
//   private_heap.h   first-class heaps
//   engine_purge.h   gives memory back; when: engine_decay.h, engine_trade.h, engine_limits.h
//   cache_drain.h    takes idle blocks out of other threads' caches
//   engine_map.h     tells readers from outside where the figures are
//
// An object of static storage, all zero until start(). Functions that take a cache are called by
// the thread that owns it; null stands for a thread that has none (it ended, or there is no
// memory). All functions may be called from any thread and keep errno.
//
// Lock order: ds/lock_rank.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ds/lock.h"
#include "heap/block_bytes.h"
#include "heap/cache_pool.h"
#include "heap/cache_use.h"
#include "heap/config.h"
#include "heap/decay.h"
#include "heap/fast_path.h"
#include "heap/held_runs.h"
#include "heap/huge_blocks.h"
#include "heap/large_zone.h"
#include "heap/limits.h"
#include "heap/metadata.h"
#include "heap/private_heap.h"
#include "heap/process_heap.h"
#include "heap/purge_figures.h"
#include "heap/space.h"
#include "heap/span_cache.h"
#include "heap/stats.h"
#include "heap/waiting.h"
#include "sys/vm.h"

namespace tide::heap {

enum class Released : uint8_t {
  kDone,
  kForeign,  // not our memory
  kBad,      // our memory, but no live block starts there
};

template <sys::VmSource Vm>
class Engine {
 public:
  constexpr Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Finds its place in the address space. False: no memory now; may be called again.
  bool start(const Config& config);
  bool started() const { return started_.load(std::memory_order_acquire); }

  // --- blocks (engine_blocks.h) ----------------------------------------------------------------

  Space<Vm>& space() { return space_; }
  Config& config() { return config_; }

  ThreadCache* acquire_cache() { return caches_.acquire(space_, metadata_, config_); }
  void park_cache(ThreadCache& cache) {
    const CacheUse use(&cache);
    drain_spans(cache);
    caches_.park(space_, process_, cache);
  }

  // What allocate_fast() could not do. Null: no memory.
  void* allocate_slow(ThreadCache* cache, size_t bytes);
  // `alignment` a power of two.
  void* allocate_aligned(ThreadCache* cache, size_t alignment, size_t bytes);
  void* allocate_zeroed(ThreadCache* cache, size_t bytes);
  Released release_slow(ThreadCache* cache, void* p);
  // Shorter ways for what a thread keeps of the large zone. Null or false: not this time.
  TIDE_INLINE void* take_span(CacheFront& front, size_t bytes) {
    if (!SpanCache<Vm>::has_length(bytes)) return nullptr;
    if (bytes <= layout::kMidMaxBytes &&
        base::stale_load(front.mid_stack[(bytes + 127) / 128]) != layout::kClosedStack) {
      return nullptr;
    }
    uint32_t* const list = SpanCache<Vm>::list_for(front.spans, bytes);
    if (list == nullptr) return nullptr;
    const CacheUse use(static_cast<ThreadCache*>(&front));
    if (TIDE_UNLIKELY(*list == 0)) return nullptr;  // drained meanwhile
    return SpanCache<Vm>(large_, front.spans).take(list);
  }
  TIDE_INLINE bool keep_span(CacheFront& front, const void* p) {
    if (front.spans.most_pages == 0) return false;
    const CacheUse use(static_cast<ThreadCache*>(&front));
    return SpanCache<Vm>(large_, front.spans).put(p);
  }
  // Pages of the live large or huge block at `p` can't be opened again: it is unmapped in two
  // steps. False: the system refuses that as well, it stays live. Else forget_closed() is to
  // follow, without locks.
  bool unmap_closed(void* p);
  void forget_closed(void* p);
  // release_slow() for a block that plain_block() has found; in hardened mode.
  void release_plain(ThreadCache* cache, void* p, const PlainBlock& block);
  // The same, but the block waits before it is free (waiting.h), if it is not too large for that
  // (may_wait()). inspect(block, bytes) is called for who leaves. For a thread that has a cache.
  // (engine_retire.h)
  static bool may_wait(const PlainBlock& block) {
    return layout::kDetects && block.bytes() <= kLargestWaiting;
  }
  template <class Inspect>
  TIDE_INLINE void retire_plain(ThreadCache& cache, void* p, const PlainBlock& block,
                                Inspect inspect);
  // 0: no live block starts at `p`.
  size_t usable_bytes(const void* p);
  // Of the live block at `p` of `usable` bytes, with the pages that it does not use.
  size_t whole_bytes(const void* p, size_t usable) const {
    return large_.holds(p) ? large_.whole_bytes(p) : usable;
  }
  // Makes the live block at `p`, of `usable` bytes, hold `bytes` where that costs less than a new
  // block and a copy. Null: it does not, nothing has changed. See also Config::leaves_moved.
  void* resize(void* p, size_t usable, size_t bytes, ThreadCache* cache = nullptr);
  // The first-class heap that the live block at `p` belongs to, or null.
  PrivateHeap<Vm>* heap_of(const void* p);
  PointerInfo describe(const void* p);
  // The same for whoever asks of any address, blocks that are not live told apart.
  BlockPlace locate(const void* p);

  // --- samples for profiles (sample_points.h) --------------------------------------------------

  // From now on cache->marks->drawn says of what allocate_*() gave whether it is a sample, as the
  // thread's bytes have it, one in `gap_bytes` on average; but for large blocks. False: no memory.
  bool start_sampling(ThreadCache& cache, int64_t gap_bytes, bool counts_calls);
  void stop_sampling(ThreadCache& cache);
  // Sends every thread's next malloc to the slow path, where reopen_tables() is to follow.
  void call_all_threads();
  // In a slow path that had a block of that size at hand: lets those be found again.
  static void reopen_tables(ThreadCache& cache, size_t bytes);
  // The free of this live block is to take the slow path. Before the program has it.
  void mark_sampled(void* block);

  // --- first-class heaps (engine_heaps.h) ------------------------------------------------------

  PrivateHeap<Vm>* heap_create(size_t limit_bytes);
  PrivateHeap<Vm>* heap_by_id(uint16_t id) const { return heaps_.by_id(id); }
  // All blocks of the heap are gone; nobody may be using it.
  void heap_destroy(PrivateHeap<Vm>* heap);
  void* heap_allocate(PrivateHeap<Vm>* heap, size_t bytes, size_t alignment, bool zeroed);
  HeapUse heap_use(PrivateHeap<Vm>* heap);
  void heap_set_limit(PrivateHeap<Vm>* heap, size_t limit_bytes);
  void heap_set_soft_limit(PrivateHeap<Vm>* heap, size_t limit_bytes);

  // --- limits on the footprint (engine_limits.h) -----------------------------------------------

  Limits& limits() { return space_.limits; }
  // After they were set: what is free and above them goes at once.
  void enforce_limits(ThreadCache* cache);
  // Whether the heap has grown by about a MiB since the last time that this was asked.
  bool take_growth() {
    if (TIDE_LIKELY(!base::racy_load(has_grown_))) return false;
    base::racy_store(has_grown_, false);
    return true;
  }
  bool over_soft_limit() const { return space_.limits.soft_excess() != 0; }
  // Gives free memory back until the footprint is at most so large, or nothing is left: reserves
  // first, then pages between used ones. Returns bytes.
  size_t purge_to(ThreadCache* cache, size_t target_bytes);
  size_t count_footprint();

  // visit(cache, argument) for every thread cache; their threads go on.
  void for_each_cache(void (*visit)(ThreadCache& cache, void* argument), void* argument) {
    caches_.for_each([&](ThreadCache& cache) { visit(cache, argument); });
  }

  // Taken only by who gives memory back.
  ds::Lock<ds::Rank::kPurge>& purge_lock() TIDE_RETURNS_LOCK(purge_lock_) { return purge_lock_; }
  ds::Lock<ds::Rank::kDrain>& drain_lock() { return caches_.drain_lock(); }

  // --- the whole (engine_survey.h) -------------------------------------------------------------

  // Gives free memory back to the system: all caches', depots', slabs', spans' and kept mappings'.
  // Returns bytes.
  size_t purge(ThreadCache* cache);
  // A look of the background at the heap: gives back what was not needed lately. To be called
  // Decay::kWindowLooks times in a purge window, as long as it returns true; false when nothing is
  // left to give back and nothing happens.
  bool look();
  static bool has_freed_much(const ThreadCache& cache) {
    return cache.freed_bytes >= kLeastNoticed;
  }
  // Whether enough was freed for the background to be of use; asked after slow frees. What a thread
  // took it may free without another one: asked after refills as well.
  bool wants_look(ThreadCache* cache) {
    return cache != nullptr && has_freed_much(*cache) && wants_look_now(*cache);
  }
  bool wants_look_after_refill(ThreadCache* cache) {
    return cache != nullptr && cache->taken_bytes - cache->noticed_taken_bytes >= kLeastTaken &&
           wants_look_after_taking(*cache);
  }
  void collect_stats(Stats& stats);
  // Every thread cache ever made, the newest first.
  void visit_caches(void (*visit)(const ThreadStats&, void* argument), void* argument);
  // Every live block. False when `visit` returned false and so ended it. `visit` must not allocate
  // large or huge blocks.
  bool visit_blocks(bool (*visit)(const BlockInfo&, void* argument), void* argument);
  // Checks the invariants of docs/invariants.md; ends the process at the first that does not hold.
  // Other threads than the background must not be in the engine.
  void verify();
  // In a forked child, before it has threads: puts right what vanished threads left half done.
  void repair_in_child(ThreadCache* mine) TIDE_NO_THREAD_SAFETY_ANALYSIS;

 private:
  friend struct EngineMap;

  void* allocate_big(size_t bytes, size_t alignment, uint16_t owner, bool& zeroed);
  void make_zero(void* block, size_t bytes);
  void* allocate_of_class(ThreadCache* cache, uint32_t c, bool& zeroed);
  void* allocate_without_marks(ThreadCache* cache, uint32_t c, bool& zeroed);
  bool make_room_in_stack(ThreadCache& cache, uint32_t stack);
  void* allocate_any(ThreadCache* cache, uint32_t c, size_t bytes, size_t alignment, bool& zeroed);
  Released release_special(Zone<Vm>& zone, void* p);
  void* grow_by_moving_pages(void* p, size_t usable, size_t bytes, uint16_t owner, bool leaves);
  void trade(ThreadCache& cache);
  void pay(ThreadCache& cache, size_t debt) TIDE_REQUIRES(purge_lock_);
  // See engine_moves.h.
  static constexpr uint32_t kNoZone = 0;
  static constexpr uint32_t kSmallZone = 1;
  static constexpr uint32_t kMidZone = 2;
  static constexpr uint32_t kLargeZone = 3;
  Zone<Vm>& slab_zone(uint32_t zone) { return zone == kSmallZone ? space_.small : space_.mid; }
  uint32_t spare_slabs(const Zone<Vm>& zone) const;
  size_t spare_span_bytes() const;
  uint32_t richest_but(uint32_t zone) const;
  bool move_pages(uintptr_t from, uintptr_t to, bool& is_lost) TIDE_REQUIRES(purge_lock_);
  bool move_from(uint32_t from, uintptr_t to, bool& is_lost) TIDE_REQUIRES(purge_lock_);
  bool move_steps(uint32_t to, size_t wanted) TIDE_REQUIRES(purge_lock_);
  TIDE_NOINLINE void supply(uint32_t to, size_t wanted);
  void note_growing_zone() TIDE_REQUIRES(purge_lock_);
  // Before pages of a zone are touched that would make the heap larger than it has been lately.
  bool wants_pages(uint32_t zone, size_t bytes) const {
    return base::racy_load(supplied_zone_) == zone &&
           zones_footprint() + bytes > base::racy_load(traded_bytes_);
  }
  void lower_trade_mark(bool at_once) TIDE_REQUIRES(purge_lock_);
  void sweep(size_t debt, size_t& total) TIDE_REQUIRES(purge_lock_);
  size_t sweep_one() TIDE_REQUIRES(purge_lock_);
  // Bytes that were clean when they were taken, ever.
  size_t clean_taken() const {
    return space_.small.clean_taken() + space_.mid.clean_taken() + large_.clean_taken();
  }
  // Called when clean memory may have been taken.
  void trade_if_due(ThreadCache* cache) {
    const size_t now = zones_footprint();
    if (now < base::racy_load(traded_bytes_) + kTradeStep || cache == nullptr) return;
    trade(*cache);
  }
  // Mappings of their own are not traded with.
  size_t zones_footprint() const {
    const size_t huge = huge_.live_bytes() + huge_.kept_bytes();
    const size_t all = space_.limits.footprint();
    return all > huge ? all - huge : 0;
  }
  // The same where there is nothing to trade with.
  void note_growth() {
    const size_t taken = clean_taken();
    if (taken - base::racy_load(noted_bytes_) < kTradeStep) return;
    base::racy_store(noted_bytes_, taken);
    base::racy_store(has_grown_, true);
  }
  // Where memory is short every page counts.
  bool keeps_huge_pages() const {
    return base::racy_load(config_.keep_huge_pages) && !space_.limits.is_tight();
  }
  // The shortest free span that goes back by itself.
  size_t least_span() const;
  size_t collect_free(ThreadCache* cache);
  bool surrender(ThreadCache* cache, size_t bytes);
  // Free memory that was given back is left out of cores from now on: also little of it while the
  // program rests.
  void leave_out_free(bool at_rest) TIDE_REQUIRES(purge_lock_);
  Purger<Vm> purger() { return {space_.vm, purge_figures_, base::racy_load(config_.purge_lazily)}; }
  // In slabs, live or cached, and in spans and mappings.
  size_t used_bytes() {
    return process_.use().used_bytes + large_.live_bytes() + huge_.live_bytes();
  }
  size_t purge_reserves(bool all) TIDE_REQUIRES(purge_lock_);
  size_t purge_holes(Zone<Vm>& zone, uint32_t looks) TIDE_REQUIRES(purge_lock_);
  size_t purge_slab(Zone<Vm>& zone, uint32_t index, uint16_t owner, size_t least_bytes)
      TIDE_REQUIRES(purge_lock_);
  size_t purge_slab_of_heap(Zone<Vm>& zone, uint32_t index, size_t least_bytes)
      TIDE_REQUIRES(purge_lock_);
  size_t purge_slab_of_any(Zone<Vm>& zone, uint32_t index, size_t least_bytes)
      TIDE_REQUIRES(purge_lock_);
  // Slabs of both zones numbered in a row: which zone, and `number` becomes the slab's own in it.
  Zone<Vm>& zone_of_number(uint32_t& number);
  bool look_now();
  bool wants_look_after_taking(ThreadCache& cache);
  bool wants_look_now(ThreadCache& cache);
  void make_free(ThreadCache* cache, void* p, const PlainBlock& block);
  PlainBlock waiting_block(uintptr_t block);
  PlainBlock leave_waiting(ThreadCache& cache, uintptr_t block);
  template <class Visit>
  void for_each_cached(ThreadCache& cache, Visit visit);
  // What the thread keeps is looked at by itself; only what has to leave is free for all.
  TIDE_INLINE bool put_span(ThreadCache& cache, void* p) {
    const size_t most_bytes = caches_.share(config_.thread_cache_bytes);
    const bool done = SpanCache<Vm>(large_, cache.spans).put(p, most_bytes, cache.freed_bytes);
    if (TIDE_UNLIKELY(config_.hardened)) cache.spans.most_pages = 0;  // no shorter way
    return done;
  }
  void drain_spans(ThreadCache& cache) { SpanCache<Vm>(large_, cache.spans).drain(); }
  void join_cached_spans(ThreadCache& cache, size_t bytes);
  // What the cache holds besides its stacks: spans, and blocks that wait.
  void drain_lists(ThreadCache& cache);
  uint32_t take_free_runs(Zone<Vm>& zone, layout::Slab& slab, size_t least_bytes)
      TIDE_REQUIRES(purge_lock_);
  size_t flush_held() TIDE_REQUIRES(purge_lock_);
  void put_back(Zone<Vm>& zone, HeldRun& run, bool gone, bool zero);
  // The child has one thread: it takes no locks.
  void put_back_in_child(bool* broken) TIDE_NO_THREAD_SAFETY_ANALYSIS;
  bool holds_runs_of(uint16_t owner) TIDE_NO_THREAD_SAFETY_ANALYSIS;
  bool is_interrupted();
  bool repair_classes(bool was_purging);
  size_t purge_reserves_to(size_t target_bytes) TIDE_REQUIRES(purge_lock_);
  size_t purge_news(size_t target_bytes, size_t most_visits) TIDE_REQUIRES(purge_lock_);
  bool make_room(ThreadCache* cache, size_t bytes);
  bool find_room(ThreadCache* cache, size_t bytes);
  void return_harder(ThreadCache& cache, size_t grown_bytes) TIDE_REQUIRES(purge_lock_);
  void heap_give_back(PrivateHeap<Vm>* heap) TIDE_REQUIRES(purge_lock_);
  void heap_try_give_back(PrivateHeap<Vm>* heap);
  void* try_heap_allocate(PrivateHeap<Vm>* heap, size_t bytes, size_t alignment, bool& zeroed,
                          bool& is_full);
  void* allocate_dirty(size_t bytes, uint16_t owner, bool grows);
  // See engine_resize.h.
  static constexpr size_t kLeastGrowthToCopy = 3;  // one part of so many
  void* resize_big(ThreadCache* cache, void* p, size_t usable, size_t bytes, uint16_t owner);
  bool stays_huge(size_t usable, size_t bytes) const;
  size_t least_to_remap(bool leaves) const;
  void* move_to_dirty(ThreadCache* cache, void* p, size_t usable, size_t bytes, uint16_t owner);
  uint32_t class_for(size_t bytes) const;
  uint32_t class_aligned(size_t alignment, size_t bytes) const;
  ds::Lock<ds::Rank::kSlabs>& lock_of_slab(uint32_t c, uint16_t owner);
  ClassSlabs<Vm>& slabs_of(const layout::Slab& slab);

  // See engine_trade.h.
  static constexpr size_t kTradeStep = size_t{1} << 20;
  static constexpr size_t kTradeDecay = 64;  // eight windows to halve
  // Slabs are sparse from one free byte in so many on.
  static constexpr size_t kSparseShare = 8;
  static constexpr size_t kVisitsPerStep = 96;
  static constexpr size_t kLeastSwept = size_t{16} << 10;  // shorter runs cost more than they bring
  static constexpr size_t kKeptPoolBytes = size_t{1} << 20;
  static constexpr size_t kKeptSpanBytes = size_t{8} << 20;

  // See engine_purge.h and engine_decay.h.
  static constexpr size_t kAnyPage = 1;
  static constexpr size_t kLeastDrained = size_t{16} << 10;
  static constexpr size_t kNoticedBytes = size_t{256} << 10;
  static constexpr size_t kLeastNoticed = kNoticedBytes / 32;  // by one thread
  static constexpr size_t kLeastTaken = kNoticedBytes / 4;
  static constexpr uint32_t kMostVain = 3;
  static constexpr size_t kWorthALook = size_t{2} << 20;

  // calloc of fewer bytes always writes them.
  static constexpr size_t kPurgeToZeroBytes = size_t{512} << 10;

  // What every process touches comes first and lies together; the large tables follow.
  Space<Vm> space_;
  Config config_{};
  std::atomic<bool> started_{false};
  ds::Lock<ds::Rank::kStart> start_lock_;
  ds::Lock<ds::Rank::kHeapPurge>
      heap_purge_lock_;                    // held while a slab of a first-class heap is purged
  ds::Lock<ds::Rank::kPurge> purge_lock_;  // held by who gives memory back
  size_t traded_bytes_ = 0;  // the footprint of the zones up to which nothing has to be paid
  size_t noted_bytes_ = 0;
  bool has_grown_ = false;
  uint32_t sweep_cursor_ TIDE_GUARDED_BY(purge_lock_) = 0;
  uint32_t news_cursor_ TIDE_GUARDED_BY(purge_lock_) = 0;
  Metadata<Vm> metadata_;
  LargeZone<Vm> large_;
  HugeBlocks<Vm> huge_;
  CachePool<Vm> caches_;
  ProcessHeap<Vm> process_;
  HeapTable<Vm> heaps_;
  PurgeFigures purge_figures_;
  Decay decay_ TIDE_GUARDED_BY(purge_lock_);
  // Of each zone the bytes that were clean when they were taken, when growth was last paid for.
  size_t taken_by_[kLargeZone + 1] TIDE_GUARDED_BY(purge_lock_) = {};
  uint32_t growing_zone_ TIDE_GUARDED_BY(purge_lock_) = 0;
  uint32_t growth_run_ TIDE_GUARDED_BY(purge_lock_) =
      0;  // payments in a row that were for its growth
  uint32_t supplied_zone_ = kNoZone;
  PageMoves moves_ TIDE_GUARDED_BY(purge_lock_);
  size_t used_at_look_ TIDE_GUARDED_BY(purge_lock_) = 0;
  std::atomic<size_t> freed_bytes_{0};  // by slow paths, since they were last enough
  size_t noticed_from_ = 0;             // what is enough
  uint32_t vain_sums_ = 0;              // made in a row, at most kMostVain
  bool is_looked_after_ = false;        // the last look said that another one is of use
  bool much_freed_ = false;             // since the last time that all was given back
  HeldRuns held_ TIDE_GUARDED_BY(purge_lock_){};
  DumpSteps::Table dump_tables_[3] = {};  // of the small, mid and large zone
};

extern template class Engine<sys::LinuxVm>;

}  // namespace tide::heap
