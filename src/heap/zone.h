// The small or the mid zone: a row of equal slabs, their records and their state map.
//
// Owns the three windows and the pool of slabs that belong to no size class. Its lock is taken
// last, under a class's or a heap's lock. The fast path reads base, limit and states without it:
// they only ever grow, and limit is published after what it makes reachable.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/check.h"
#include "base/racy.h"
#include "ds/bitmap4096.h"
#include "ds/lock.h"
#include "heap/address_plan.h"
#include "heap/dump_steps.h"
#include "heap/huge_page_bytes.h"
#include "heap/limits.h"
#include "heap/low_water.h"
#include "heap/page_moves.h"
#include "heap/purge_batch.h"
#include "heap/slab_pool.h"
#include "heap/window.h"
#include "layout/slab.h"
#include "layout/stacks.h"
#include "sys/vm.h"

namespace tide::heap {

template <sys::VmSource Vm>
class Zone {
 public:
  using Bitmap = ds::Bitmap4096::Words;

  constexpr Zone() = default;

  // Every free is to take the slow path. Before start().
  void make_frees_slow() { slow_frees_ = true; }

  // May be called again when the place was no good. False: what is mapped there can't go now.
  bool place(Vm& vm, Limits& limits, unsigned granule_shift, uintptr_t zone, uintptr_t states,
             uintptr_t slabs, size_t window_bytes) {
    const ds::LockGuard guard(lock_);
    limits_ = &limits;
    page_bytes_ = vm.page_size();
    shift_ = granule_shift;
    forget_pools();
    limit_ = 0;
    fast_limit_ = 0;
    untouched_ = 0;
    const uintptr_t bitmaps = slabs + AddressPlan::bitmaps_offset(window_bytes);
    const size_t counted = metadata_bytes();  // of a place that was no good
    const bool placed =
        zone_.place(vm, zone, window_bytes) &&
        classes_window_.place(vm, states - layout::kClassMapBytes, layout::kClassMapBytes) &&
        states_window_.place(vm, states, window_bytes >> shift_) &&
        slabs_window_.place(vm, slabs, window_bytes / slab_bytes() * sizeof(layout::Slab)) &&
        bitmaps_window_.place(vm, bitmaps, window_bytes / slab_bytes() * sizeof(Bitmap));
    limits.dismiss(counted - metadata_bytes());
    if (!placed) return false;
    base_ = zone;
    states_ = reinterpret_cast<uint8_t*>(states);
    slabs_ = reinterpret_cast<layout::Slab*>(slabs);
    bitmaps_ = reinterpret_cast<Bitmap*>(bitmaps);
    state_bias_ = states - (zone >> shift_);
    return true;
  }

  // Maps the first slabs. False when the place is no good.
  bool start(Vm& vm) {
    const ds::LockGuard guard(lock_);
    return grow(vm, 1, true);
  }

  // --- read by the fast path -------------------------------------------------------------------

  // The granule that `p` begins, or a number beyond limit() when `p` is outside of the zone or not
  // on a granule: the bits below a granule turn up as the highest ones.
  template <unsigned kShift>
  TIDE_INLINE size_t granule_of(const void* p) const {
    const uintptr_t offset = base::address_of(p) - base_;
    return (offset >> kShift) | (offset << (sizeof(uintptr_t) * 8 - kShift));
  }

  TIDE_INLINE size_t limit() const { return base::stale_load(limit_); }
  // The same for the fast path of free; 0 where every free has to take the slow one.
  TIDE_INLINE size_t fast_limit() const { return base::stale_load(fast_limit_); }
  TIDE_INLINE uint8_t& state(size_t granule) const { return states_[granule]; }
  TIDE_INLINE uint8_t* states() const { return states_; }

  // The stack that blocks of the slab that `granule` is in belong to; `states` is states().
  static TIDE_INLINE uint8_t stack_at(const uint8_t* states, size_t granule) {
    return base::racy_load((states - layout::kClassMapBytes)[granule / layout::kGranulesPerSlab]);
  }

  // The state byte of the block that begins at `shifted` << the granule's shift.
  TIDE_INLINE uint8_t& state_of_shifted(uintptr_t shifted) const {
    shifted += state_bias_;
    TIDE_PIN(shifted);
    return *reinterpret_cast<uint8_t*>(shifted);
  }

  // --- slow path -------------------------------------------------------------------------------

  // What is known of the block at `granule`, below limit().
  uint8_t state_or_stack(size_t granule) const {
    return layout::kDetects ? base::racy_load(states_[granule]) : stack_at(states_, granule);
  }

  size_t granule_of_any(const void* p) const {
    const uintptr_t offset = base::address_of(p) - base_;
    return (offset >> shift_) | (offset << (sizeof(uintptr_t) * 8 - shift_));
  }
  uint8_t& state_of_any(const void* block) const {
    return *reinterpret_cast<uint8_t*>((base::address_of(block) >> shift_) + state_bias_);
  }
  bool contains(const void* p) const { return base::address_of(p) - base_ < (limit() << shift_); }

  unsigned shift() const { return shift_; }
  size_t purge_unit_bytes() const { return slab_bytes() / layout::kPurgeUnits; }
  unsigned slab_shift() const { return shift_ + layout::kSlabGranulesShift; }
  size_t slab_bytes() const { return size_t{1} << slab_shift(); }
  uint32_t slab_count() const { return static_cast<uint32_t>(limit() / layout::kGranulesPerSlab); }
  // The same, for who reads the records of slabs that others have mapped.
  uint32_t slabs_seen() const {
    return static_cast<uint32_t>(base::published_load(limit_) / layout::kGranulesPerSlab);
  }
  layout::Slab& slab(uint32_t index) const { return slabs_[index]; }
  // The free blocks of a slab: the granules where they start.
  ds::Bitmap4096 free_of(uint32_t index) const {
    return {slabs_[index].free_summary, bitmaps_[index]};
  }
  ds::Bitmap4096 free_of(layout::Slab& slab) const {
    return {slab.free_summary, bitmaps_[index_of(slab)]};
  }
  uint32_t index_of(const layout::Slab& slab) const {
    return static_cast<uint32_t>(&slab - slabs_);
  }
  // The slab's own record and the class map that free reads say the same. After its home is set.
  void set_class(uint32_t index, uint32_t c) {
    // Who sees the class sees whose slab it is.
    base::published_store(slabs_[index].size_class, static_cast<uint8_t>(c));
    base::racy_store((states_ - layout::kClassMapBytes)[index],
                     layout::stack_of(c, slabs_[index].home));
  }
  uint32_t index_of_address(const void* p) const {
    return static_cast<uint32_t>((base::address_of(p) - base_) >> slab_shift());
  }
  uintptr_t slab_address(uint32_t index) const {
    return base_ + (uintptr_t{index} << slab_shift());
  }

  size_t mapped_bytes() const { return zone_.mapped() - base::racy_load(unmapped_bytes_); }
  size_t metadata_bytes() const {
    return classes_window_.mapped() + states_window_.mapped() + slabs_window_.mapped() +
           bitmaps_window_.mapped();
  }
  ds::Lock<ds::Rank::kZone>& lock() TIDE_RETURNS_LOCK(lock_) { return lock_; }

  // As good as a moment's look can tell.
  bool has_dirty() const { return !dirty_.is_empty(); }

  // A slab of no class: dirty ones first, then clean ones, then fresh addresses. kNoSlab: no
  // memory, or no room for `least_bytes` of a clean one under the hard limit.
  uint32_t acquire(Vm& vm, size_t least_bytes = 0) {
    const ds::LockGuard guard(lock_);
    if (!dirty_.is_empty()) {
      const uint32_t index = pop(dirty_);
      count_pooled(-purged_bytes(slabs_[index]));
      if (slabs_[index].resident) base::racy_store(ahead_, ahead_ - 1);
      low_water_.note(dirty_.count());
      return index;
    }
    if (!limits_->has_room(least_bytes)) return layout::kNoSlab;
    if (clean_.is_empty()) {
      count_clean(slab_bytes());
      if (untouched_ != slab_count()) return untouched_++;
      if (map_again(vm)) return pop(clean_);
      if (!grow(vm, usual_growth()) && !grow(vm, 1)) return layout::kNoSlab;
      return untouched_++;
    }
    const uint32_t index = pop(clean_);
    // Given back lazily: from now on all of it may be resident.
    if (slabs_[index].used_before && !limits_->admit(slab_bytes())) {
      push(index, true);
      return layout::kNoSlab;
    }
    steps_.want(offset_of(index), offset_of(index + 1));
    count_clean(slab_bytes());
    return index;
  }
  // After acquire(), without a lock, and before what is on the slabs matters: cores have them.
  void bring_back(Vm& vm) {
    if (TIDE_UNLIKELY(steps_.has_wanted())) bring_steps_back(vm, lock_, steps_, base_, zone_.end());
  }

  // The zone grows by huge pages where it is longer than so many bytes; 0: never.
  void grow_by_huge_pages_from(size_t bytes) { huge_from_ = bytes; }
  // Whether slab `index` begins a huge page by which the zone grows.
  bool begins_huge_page(uint32_t index) const;

  // After acquire() gave out slab `index`: up to `most` slabs behind it that nobody has touched
  // yet; where the zone grows by huge pages all that lie in the same. Returns how many; they are
  // about to be resident and go to release_touched().
  uint32_t acquire_behind(Vm& vm, uint32_t index, uint32_t most);
  // Slabs [first, end), resident by now and all zero, wait for use.
  void release_touched(uint32_t first, uint32_t end) {
    const ds::LockGuard guard(lock_);
    base::racy_store(ahead_, ahead_ + (end - first));
    while (end-- != first) {
      slabs_[end].resident = true;
      push(end, false);
    }
  }

  // Before slab `index`, just acquired, is used: makes state bytes resident that were given back,
  // those of its neighbours as well, so that few calls have to wait for it.
  void prepare_states(Vm& vm, uint32_t index) {
    constexpr uint32_t kGroup = 32;
    if (!base::racy_load(slabs_[index].no_states)) return;
    const uint32_t first = index / kGroup * kGroup;
    const uint32_t end = first + kGroup < slabs_seen() ? first + kGroup : slabs_seen();
    for (uint32_t i = first; i < end; ++i) base::racy_store(slabs_[i].no_states, false);
    const size_t page = vm.page_size();
    const uintptr_t states = base::address_of(states_);
    const uintptr_t from =
        base::align_down(states + size_t{first} * layout::kGranulesPerSlab, page);
    const uintptr_t to = base::align_up(states + size_t{end} * layout::kGranulesPerSlab, page);
    vm.populate(reinterpret_cast<void*>(from), to - from);
  }

  // Takes back an empty slab. `clean`: all of it reads as zero.
  void release(uint32_t index, bool clean) {
    layout::Slab& slab = slabs_[index];
    clean = clean && !slab.resident;
    // A dirty slab in the pool counts whole, but for what was given back of it.
    const size_t counted = counted_bytes(slab);
    if (clean) {
      limits_->dismiss(counted);
    } else {
      limits_->admit_always(slab_bytes() - purged_bytes(slab) - counted);
    }
    // In this order, and with a class to the end: a child that is forked in between must find
    // counts that agree (I-SLAB-1).
    if (slab.free_summary != 0) free_of(index).reset();
    base::racy_store(slab.carved, uint32_t{slab.first});
    base::racy_store(slab.used, 0u);
    slab.used_before = !clean;
    slab.resident = false;
    if (const size_t returned = purged_bytes(slab)) {
      returned_.fetch_sub(returned, std::memory_order_relaxed);
    }
    slab.last_class = slab.size_class;
    set_class(index, 0);
    // Last: who sees no owner must see no class either, or would take the slab for the process's.
    base::published_store(slab.owner, uint16_t{0});
    const ds::LockGuard guard(lock_);
    push(index, clean);
  }

  // Bytes that were clean when they were taken, ever: what may have become resident.
  size_t clean_taken() const { return clean_taken_.load(std::memory_order_relaxed); }
  void count_clean(size_t bytes) { clean_taken_.fetch_add(bytes, std::memory_order_relaxed); }

  // Units [first, end) of a slab are on their way back; the slab's lock is held. Returns for how
  // many bytes this is news: they are to be dismissed once they are gone.
  size_t mark_purged(layout::Slab& slab, size_t first, size_t end) {
    const size_t bytes = layout::set_purged(slab, first, end, true) * purge_unit_bytes();
    if (bytes != 0) returned_.fetch_add(bytes, std::memory_order_relaxed);
    return bytes;
  }
  // They are in use again, or have not gone.
  void forget_purged(layout::Slab& slab, size_t first, size_t end) {
    const size_t bytes = layout::set_purged(slab, first, end, false) * purge_unit_bytes();
    if (bytes == 0) return;
    count_clean(bytes);
    limits_->admit_always(bytes);
    returned_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  // A slab that comes out of the pool to a class: what was given back of it before still is.
  void note_returned(const layout::Slab& slab) {
    if (const size_t bytes = purged_bytes(slab)) {
      returned_.fetch_add(bytes, std::memory_order_relaxed);
    }
  }
  // Bytes of free blocks in slabs that are given back now.
  size_t returned() const { return returned_.load(std::memory_order_relaxed); }

  // What counts for the footprint: of a slab of a class the pages of carved blocks, or all when it
  // was used before or made resident, without what is given back; of the pool the dirty slabs.
  Limits& limits() { return *limits_; }
  size_t page_bytes() const { return page_bytes_; }
  // Whether all of the slab may be resident, carved or not.
  static bool is_whole(const layout::Slab& slab) { return slab.used_before || slab.resident; }
  size_t counted_bytes(const layout::Slab& slab) const {
    const size_t touched = is_whole(slab) ? slab_bytes() : pages_of_carved(slab, slab.carved);
    return touched - purged_bytes(slab);
  }
  // What of the slab is known to be given back.
  size_t purged_bytes(const layout::Slab& slab) const {
    if ((slab.purged[0] | slab.purged[1]) == 0) return 0;
    const int units = std::popcount(slab.purged[0]) + std::popcount(slab.purged[1]);
    return static_cast<size_t>(units) * purge_unit_bytes();
  }
  // What carving the slab up to `end` would add.
  size_t carving_bytes(const layout::Slab& slab, uint32_t end) const {
    return is_whole(slab) ? 0 : pages_of_carved(slab, end) - pages_of_carved(slab, slab.carved);
  }
  // All of it is resident soon. False: the hard limit forbids it.
  bool admit_whole(layout::Slab& slab) {
    if (!limits_->admit(slab_bytes() - counted_bytes(slab))) return false;
    slab.resident = true;
    return true;
  }

  uint32_t dirty_slabs() const { return dirty_.count(); }
  // Of these: made resident for a class that grows.
  uint32_t slabs_ahead() const { return base::racy_load(ahead_); }
  // Of dirty_slabs(); for the one that gives memory back.
  LowWater& low_water() { return low_water_; }

  // Gives the memory of up to `most` pooled slabs back, those first that have been there longest.
  // Returns bytes, of which `known_gone` had gone before. One caller at a time.
  size_t purge_pool(Purger<Vm>& purger, uint32_t most, size_t* known_gone = nullptr);
  // If it is `least_bytes` more than the last time, leaves what is free out of cores (zone_dump.h).
  // One caller at a time, that of purge_pool().
  void leave_out_free(Vm& vm, size_t least_bytes);
  DumpSteps& dump_steps() { return steps_; }
  // Unmaps the slabs in the pools, so that their share of the address-space limit can be used
  // elsewhere. Returns bytes.
  size_t unmap_pools(Vm& vm);

  // --- steps of kMoveBytes whose pages change zones, see zone_moves.h; one caller at a time
  // --------

  // The first of the slabs that lie on a step and leave the pool of dirty ones, those that have
  // been there long before others, or that of clean ones, or are new. kNoSlab: there are none at
  // hand.
  uint32_t take_dirty_step();
  uint32_t take_clean_step(Vm& vm);
  // Back to a pool.
  void put_step(uint32_t first, bool clean);
  // The same where pages were moved away from: what the records had for them goes, too.
  void put_emptied_step(Purger<Vm>& purger, uint32_t first);
  // Of a step from take_clean_step(): perhaps nothing of ours is mapped there any more.
  void lose_step(uint32_t first);

  // In a forked child (zone_repair.h). Before anything else: what vanished threads had half done
  // and is in no list.
  void settle_in_child(Vm& vm);
  // The pools are made anew from the records, where the parent may have been in here. `keeps_hand`:
  // the calling thread was giving memory back, and goes on with what it has in hand.
  void rebuild_pools(bool keeps_hand = false) TIDE_NO_THREAD_SAFETY_ANALYSIS;

  // Bytes in slabs of no class; `dirty`: those that may be resident.
  size_t pool_bytes(bool dirty) {
    const ds::LockGuard guard(lock_);
    return pool_bytes_now(dirty);
  }
  // The same while nobody else is in the zone.
  size_t pool_bytes_now(bool dirty) const TIDE_NO_THREAD_SAFETY_ANALYSIS {
    if (slab_count() == 0) return 0;
    const uint32_t slabs = dirty ? dirty_.count() : slab_count() - untouched_ + clean_.count();
    return slabs * slab_bytes() - (dirty ? base::racy_load(pool_returned_) : 0);
  }

 private:
  friend struct EngineMap;

  uint32_t slabs_of_huge_page() const {
    return static_cast<uint32_t>(kHugePageBytes >> slab_shift());
  }
  bool grows_by_huge_pages_at(uint32_t index) const {
    return huge_from_ != 0 && offset_of(index) >= huge_from_ && offset_of(index) >= kHugePageBytes;
  }
  uint32_t usual_growth() const;

  static constexpr uint32_t kMostCounted = 512;

  static constexpr int kMostLooks = 16;  // at dirty slabs, for a whole step of them
  uint32_t slabs_of_step() const { return static_cast<uint32_t>(kMoveBytes >> slab_shift()); }
  uint32_t first_of_step(uint32_t index) const { return index & ~(slabs_of_step() - 1); }
  bool is_step_in(uint32_t first, layout::Pool pool) const TIDE_REQUIRES(lock_);
  void start_move(uint32_t first) TIDE_REQUIRES(lock_);

  void forget_pools() TIDE_REQUIRES(lock_) {
    dirty_.reset();
    clean_.reset();
    base::racy_store(pool_returned_, size_t{0});
    ahead_ = 0;
    unmapped_ = layout::kNoSlab;
  }

  void push(uint32_t index, bool clean) TIDE_REQUIRES(lock_) {
    slabs_[index].pool = clean ? layout::Pool::kClean : layout::Pool::kDirty;
    if (clean) {
      forget_all_purged(slabs_[index]);
    } else {
      count_pooled(purged_bytes(slabs_[index]));
    }
    if (clean && steps_.is_left_out(offset_of(index))) return clean_.push_oldest(slabs_, index);
    (clean ? clean_ : dirty_).push(slabs_, index);
  }
  static void forget_all_purged(layout::Slab& slab) {
    for (uint64_t& units : slab.purged) base::racy_store(units, uint64_t{0});
  }
  // Of what was given back of dirty slabs `bytes` more, or less, are in the pool.
  void count_pooled(size_t bytes) TIDE_REQUIRES(lock_) {
    if (bytes != 0) base::racy_store(pool_returned_, pool_returned_ + bytes);
  }
  size_t offset_of(uint32_t index) const { return size_t{index} << slab_shift(); }
  bool is_free_step(uint32_t step) const TIDE_REQUIRES(lock_);
  bool claim_free_steps(uint32_t& cursor, uint32_t least_steps, DumpSteps::Range& range);
  uint32_t pop(SlabPool& pool) TIDE_REQUIRES(lock_) {
    const uint32_t index = pool.pop(slabs_);
    slabs_[index].pool = layout::Pool::kNone;
    return index;
  }

  size_t purge_states(Purger<Vm>& purger, uint32_t chain);
  size_t purge_bitmaps(Purger<Vm>& purger, uint32_t chain);
  bool detach_unused(uint32_t first, uint32_t end, uint32_t& chain);

  uint32_t detach_oldest(uint32_t most) {
    const ds::LockGuard guard(lock_);
    if (dirty_.is_empty()) return layout::kNoSlab;
    const uint32_t chain = dirty_.detach_oldest(slabs_, most);
    for (uint32_t i = chain; i != layout::kNoSlab; i = slabs_[i].next) {
      count_pooled(-purged_bytes(slabs_[i]));
      slabs_[i].pool = layout::Pool::kLeaving;
    }
    return chain;
  }

  // Slabs behind the last one that was ever taken are in no list, and their records not touched.
  void push_untouched() TIDE_REQUIRES(lock_) {
    for (uint32_t index = slab_count(); index-- != untouched_;) push(index, true);
    untouched_ = slab_count();
  }

  // Maps a slab again that was given up. False: there is none, or no memory.
  bool map_again(Vm& vm) TIDE_REQUIRES(lock_);

  // Bytes of the pages that hold blocks [slab.first, end).
  size_t pages_of_carved(const layout::Slab& slab, uint32_t end) const {
    if (end <= slab.first) return 0;
    const size_t block_bytes = size_t{slab.granules} << shift_;
    const size_t last = base::align_up(end * block_bytes, page_bytes_);
    return (last < slab_bytes() ? last : slab_bytes()) -
           base::align_down(slab.first * block_bytes, page_bytes_);
  }

  // What others have mapped is passed over, but at the start: better to plan another place.
  bool grow(Vm& vm, uint32_t slabs, bool is_start = false) TIDE_REQUIRES(lock_);
  bool grow_beyond(Vm& vm) TIDE_REQUIRES(lock_);
  bool cover_records(Vm& vm, size_t slabs) TIDE_REQUIRES(lock_);
  void publish_end(size_t slabs) TIDE_REQUIRES(lock_);

  uintptr_t base_ = 0;
  size_t limit_ = 0;  // granules
  size_t fast_limit_ = 0;
  uint8_t* states_ = nullptr;
  uintptr_t state_bias_ = 0;  // state byte of p: *(state_bias_ + (p >> shift))
  layout::Slab* slabs_ = nullptr;
  Bitmap* bitmaps_ = nullptr;
  unsigned shift_ = 0;
  bool slow_frees_ = false;

  ds::Lock<ds::Rank::kZone> lock_;
  SlabPool dirty_;
  uint32_t ahead_ = 0;
  size_t pool_returned_ = 0;
  LowWater low_water_;
  std::atomic<size_t> clean_taken_{0};
  std::atomic<size_t> returned_{0};
  SlabPool clean_ TIDE_GUARDED_BY(lock_);
  DumpSteps steps_;
  uint32_t unmapped_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t untouched_ TIDE_GUARDED_BY(lock_) = 0;
  size_t unmapped_bytes_ = 0;
  Window<Vm> zone_;
  Window<Vm> classes_window_;
  Window<Vm> states_window_;
  Window<Vm> slabs_window_;
  Window<Vm> bitmaps_window_;
  Limits* limits_ = nullptr;
  size_t page_bytes_ = 0;
  size_t huge_from_ = 0;
};

}  // namespace tide::heap

#include "heap/zone_growth.h"
