// The process's own heap behind the thread caches: per size class a lock and slabs, those of small
// classes per home, and depots, per home for small classes and per CPU for the others.
//
// Thread caches come here for batches and bring batches back. Blocks that come back go to a depot,
// without a lock, and only when that is full into the slabs.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ds/lock.h"
#include "heap/class_slabs.h"
#include "heap/config.h"
#include "heap/depot.h"
#include "heap/space.h"
#include "layout/size_classes.h"
#include "layout/thread_cache.h"
#include "sys/thread.h"

namespace tide::heap {

using layout::BlockSlot;

template <sys::VmSource Vm>
class ProcessHeap {
 public:
  constexpr ProcessHeap() = default;

  // Homes from `homes` on are never used: 1 to layout::kHomes. Nor are mid depots from `depots` on:
  // 1 to Config::kMostMidDepots. `prepare`: see Config. Before anything else.
  void start(uint32_t homes, uint32_t depots,
             void (*prepare)(void* block, size_t block_bytes) = nullptr) {
    homes_ = homes;
    mid_depots_in_use_ = depots;
    prepare_ = prepare;
  }

  // Up to `count` blocks of class `c`, in the order of a stack: that to be used first is the last.
  // 0: no memory.
  uint32_t take(Space<Vm>& space, uint8_t home, uint32_t c, BlockSlot* out, uint32_t count) {
    const uint32_t first = depot_at_hand(c, home);
    uint32_t taken = take_from_depot(c, first, out, count);
    if (!layout::is_small_class(c)) {
      for (uint32_t i = 1; i < mid_depots_in_use_ && taken == 0; ++i) {
        taken = take_from_depot(c, (first + i) % mid_depots_in_use_, out, count);
      }
    }
    return taken != 0 ? taken : take_from_slabs(space, home, c, out, count);
  }

  uint32_t take_from_slabs(Space<Vm>& space, uint8_t home, uint32_t c, BlockSlot* out,
                           uint32_t count) {
    Zone<Vm>& zone = space.zone_of_class(c);
    ClassSlabs<Vm>& own = slabs(c, home);
    uint32_t taken = 0;
    uint32_t grown = layout::kNoSlab;
    uint32_t adopted = layout::kNoSlab;
    {
      const ds::LockGuard guard(lock(c));
      while ((taken += own.take_listed(zone, out, count - taken)) < count) {
        if (grown != layout::kNoSlab && taken != 0) break;  // one slab at a time is made resident
        if (!zone.has_dirty() && adopt_from_others(zone, c, home, false)) continue;
        const uint32_t pooled = own.adopt_pooled(space.vm, zone, c, 0, home);
        if (pooled != layout::kNoSlab) {
          adopted = pooled;
          used_classes_[c / 64].fetch_or(uint64_t{1} << c % 64, std::memory_order_relaxed);
          if (is_worth_populating(zone, own, c, pooled) && zone.admit_whole(zone.slab(pooled))) {
            grown = pooled;
          }
          continue;
        }
        if (!adopt_from_others(zone, c, home, true)) break;
      }
    }
    zone.bring_back(space.vm);
    if (adopted != layout::kNoSlab) zone.prepare_states(space.vm, adopted);
    if (grown != layout::kNoSlab) populate(space.vm, zone, grown, own.slab_count());
    if (TIDE_UNLIKELY(taken != count)) memmove(out, out + count - taken, taken * sizeof *out);
    if (TIDE_UNLIKELY(prepare_ != nullptr)) {
      for (uint32_t i = 0; i < taken; ++i) {
        prepare_(reinterpret_cast<void*>(out[i]), layout::kClassInfo[c].bytes);
      }
    }
    return taken;
  }

  // `count` blocks that are not live: each goes to the home of its slab.
  void give(Space<Vm>& space, uint32_t c, BlockSlot* blocks, uint32_t count) {
    const Zone<Vm>& zone = space.zone_of_class(c);
    while (count != 0) {
      BlockSlot others[layout::kMaxBatch];
      const uint8_t home = home_of(zone, c, zone.index_of_address(blocks[0]));
      const uint32_t batch = layout::kClassInfo[c].batch;
      const uint32_t some = count < batch ? count : batch;
      Depot depot = this->depot(c, depot_at_hand(c, home));
      if (!depot.has_room(some, depot_bound(c))) return give_to_slabs(space, c, blocks, count);
      const uint32_t here =
          !layout::is_small_class(c) ? some : split_by_home(zone, c, home, blocks, some, others);
      if (!depot.put(blocks, here, depot_bound(c))) give_to_slabs(space, c, blocks, here);
      blocks += here;
      count -= here;
      for (uint32_t i = 0; i < some - here; ++i) blocks[i] = others[i];
    }
  }

  void give_to_slabs(Space<Vm>& space, uint32_t c, const BlockSlot* blocks, uint32_t count) {
    Zone<Vm>& zone = space.zone_of_class(c);
    const ds::LockGuard guard(lock(c));
    for (uint32_t i = 0; i < count;) {
      const uint32_t index = zone.index_of_address(blocks[i]);
      i += slabs(c, home_of(zone, c, index)).give(zone, blocks + i, count - i);
    }
  }

  // Empties the depots into the slabs.
  void collect(Space<Vm>& space) {
    for_each_used([&](uint32_t c) {
      for (uint32_t i = 0; i < depots_of(c); ++i) empty_depot(space, c, i);
    });
  }
  // The same for those that threads of `home` have of class `c`.
  void collect(Space<Vm>& space, uint32_t c, uint32_t home) {
    if (layout::is_small_class(c)) return empty_depot(space, c, home);
    for (uint32_t i = 0; i < mid_depots_in_use_; ++i) empty_depot(space, c, i);
  }

  // Hands slabs without any block in use to the zone.
  void drop_empty(Space<Vm>& space, uint32_t c) {
    const ds::LockGuard guard(lock(c));
    for (uint32_t home = 0; home < homes_of(c); ++home) {
      slabs(c, home).drop_empty(space.zone_of_class(c));
    }
  }

  struct Use {
    size_t used_bytes;
    size_t free_bytes;  // in slabs that have a class, never used ones included
  };
  // As good as a moment's look can tell.
  Use use() {
    Use sum{0, 0};
    for_each_used([&](uint32_t c) {
      for (uint32_t home = 0; home < homes_of(c); ++home) {
        const ClassSlabs<Vm>& own = slabs(c, home);
        const uint64_t used = own.used_blocks();
        const uint64_t capacity = own.capacity();
        sum.used_bytes += used * layout::kClassInfo[c].bytes;
        if (capacity > used) sum.free_bytes += (capacity - used) * layout::kClassInfo[c].bytes;
      }
    });
    return sum;
  }

  // On their way between threads; as good as a moment's look can tell.
  size_t depot_bytes() {
    size_t total = 0;
    for_each_used([&](uint32_t c) {
      for (uint32_t i = 0; i < depots_of(c); ++i) {
        total += size_t{depot(c, i).count()} * layout::kClassInfo[c].bytes;
      }
    });
    return total;
  }

  ds::Lock<ds::Rank::kSlabs>& lock(uint32_t c) { return locks_[c].lock; }
  // Blocks of the mid zone share no cache line, nor do their state bytes as a rule: one home for
  // all.
  uint32_t homes_of(uint32_t c) const { return layout::is_small_class(c) ? homes_ : 1; }
  ClassSlabs<Vm>& slabs(uint32_t c, uint32_t home) {
    return layout::is_small_class(c) ? small_slabs_[home][c] : mid_slabs_[mid_index(c)];
  }
  uint32_t depots_of(uint32_t c) const {
    return layout::is_small_class(c) ? homes_ : mid_depots_in_use_;
  }
  // One of a class's depots: that of a home for small blocks.
  Depot depot(uint32_t c, uint32_t index) {
    if (layout::is_small_class(c)) return {small_depots_[index].words[c], small_batches_[index], c};
    return {mid_depots_[index].words[mid_index(c)], mid_batches_[index], mid_index(c)};
  }

 private:
  friend struct EngineMap;

  // Calls visit(c) for every class that ever had a slab: mostly few of them.
  template <class Visit>
  void for_each_used(Visit visit) {
    for (uint32_t word = 0; word < kClassWords; ++word) {
      uint64_t classes = used_classes_[word].load(std::memory_order_relaxed);
      for (; classes != 0; classes &= classes - 1) {
        visit(word * 64 + static_cast<uint32_t>(std::countr_zero(classes)));
      }
    }
  }

  static constexpr uint32_t mid_index(uint32_t c) { return c - layout::kSmallClasses - 1; }

  // Mid blocks that leave a thread come back to one that runs on the same CPU, into whose caches
  // they are, and no line of theirs goes to and fro between CPUs.
  uint32_t depot_at_hand(uint32_t c, uint32_t home) const {
    if (layout::is_small_class(c)) return home;
    return mid_depots_in_use_ == 1 ? 0 : sys::current_cpu() % mid_depots_in_use_;
  }

  uint32_t take_from_depot(uint32_t c, uint32_t index, BlockSlot* out, uint32_t count) {
    Depot depot = this->depot(c, index);
    uint32_t taken = 0;
    while (taken < count) {
      const uint32_t batch = depot.take(out + taken, count - taken);
      if (batch == 0) break;
      taken += batch;
    }
    return taken;
  }

  void empty_depot(Space<Vm>& space, uint32_t c, uint32_t index) {
    void* batch[layout::kMaxBatch];
    Depot depot = this->depot(c, index);
    while (const uint32_t count = depot.take(batch)) give_to_slabs(space, c, batch, count);
  }

  static uint8_t home_of(const Zone<Vm>& zone, uint32_t c, uint32_t slab) {
    return layout::is_small_class(c) ? base::racy_load(zone.slab(slab).home) : uint8_t{0};
  }

  // Blocks of `home` come first in `blocks`, the rest goes to `others`. Returns how many are here.
  static uint32_t split_by_home(const Zone<Vm>& zone, uint32_t c, uint8_t home, BlockSlot* blocks,
                                uint32_t count, BlockSlot* others) {
    uint32_t last = layout::kNoSlab;
    bool is_here = true;
    uint32_t here = 0;
    for (; here < count; ++here) {  // mostly all of them, and nothing moves
      const uint32_t index = zone.index_of_address(blocks[here]);
      if (index == last) continue;
      if (home_of(zone, c, index) != home) break;
      last = index;
    }
    for (uint32_t i = here; i < count; ++i) {
      const uint32_t index = zone.index_of_address(blocks[i]);
      if (index != last) {
        last = index;
        is_here = home_of(zone, c, index) == home;
      }
      if (is_here) {
        blocks[here++] = blocks[i];
      } else {
        others[i - here] = blocks[i];
      }
    }
    return here;
  }

  static constexpr uint32_t kSlabsAhead = 8;

  // Of small blocks no page stays untouched. A class that has some slabs will fill this one, too,
  // or nearly. Where the zone grows by huge pages all are. Not so a slab whose pages went back:
  // after a rest many are taken again, each time by a call that would have to wait.
  static bool is_worth_populating(const Zone<Vm>& zone, const ClassSlabs<Vm>& own, uint32_t c,
                                  uint32_t slab) {
    if (zone.slab(slab).last_class != 0 || zone.slab(slab).resident) return false;
    return zone.begins_huge_page(slab) ||
           (layout::is_small_class(c) && own.slab_count() > kSlabsAhead);
  }

  // Makes a fresh slab resident, with as many behind it as are an eighth of the class: what is done
  // in vain is no more than that, and goes back like any slab that nobody needs.
  static void populate(Vm& vm, Zone<Vm>& zone, uint32_t slab, uint32_t class_slabs) {
    const uint32_t more = class_slabs > kSlabsAhead ? class_slabs / kSlabsAhead - 1 : 0;
    const uint32_t first = slab + 1;
    const uint32_t end = first + zone.acquire_behind(vm, slab, more);
    void* const pages = reinterpret_cast<void*>(zone.slab_address(slab));
    const size_t bytes = (end - slab) * zone.slab_bytes();
    if (bytes == kHugePageBytes && zone.begins_huge_page(slab)) {
      vm.populate_huge(pages, bytes);
    } else {
      vm.populate(pages, bytes);
    }
    zone.release_touched(first, end);
  }

  // Takes over a slab of another home: a sparse one before the zone grows, any when it can't.
  bool adopt_from_others(Zone<Vm>& zone, uint32_t c, uint8_t home, bool any) {
    for (uint32_t other = 0; other < homes_of(c); ++other) {
      if (&slabs(c, other) == &slabs(c, home)) continue;
      if (slabs(c, home).adopt_from(zone, slabs(c, other), home, any)) return true;
    }
    return false;
  }

  // At most about 128 KiB in a depot, or two batches; one of long ones where there are more depots.
  Depot::Bound depot_bound(uint32_t c) const {
    const uint32_t batch = layout::kClassInfo[c].batch;
    const size_t batch_bytes = size_t{batch} * layout::kClassInfo[c].bytes;
    const auto fit = static_cast<uint32_t>((size_t{128} << 10) / batch_bytes);
    const uint32_t least = batch_bytes > (size_t{512} << 10) && depots_of(c) > 1 ? 1 : 2;
    return {fit >= Depot::kSlots ? Depot::kSlots : fit < least ? least : fit, batch};
  }

  // Index: class. The first of the small ones is of no class.
  struct alignas(64) ClassLock {
    ds::Lock<ds::Rank::kSlabs> lock;
  };
  ClassLock locks_[layout::kClassCount];
  static constexpr uint32_t kClassWords = (layout::kClassCount + 63) / 64;
  std::atomic<uint64_t> used_classes_[kClassWords] = {};  // ever
  uint32_t homes_ = 0;
  uint32_t mid_depots_in_use_ = 0;
  void (*prepare_)(void* block, size_t block_bytes) = nullptr;
  static constexpr uint32_t kMidClasses = layout::kClassCount - layout::kSmallClasses - 1;
  ClassSlabs<Vm> small_slabs_[layout::kHomes][layout::kSmallClasses + 1];
  ClassSlabs<Vm> mid_slabs_[kMidClasses];
  // Those of a home together: what its threads touch is on few pages and lines.
  struct alignas(64) HomeWords {
    Depot::Word words[layout::kSmallClasses + 1];
  };
  struct alignas(64) MidWords {
    Depot::Word words[kMidClasses];
  };
  HomeWords small_depots_[layout::kHomes];
  MidWords mid_depots_[Config::kMostMidDepots];
  Depot::Batches small_batches_[layout::kHomes];
  Depot::Batches mid_batches_[Config::kMostMidDepots];
};

}  // namespace tide::heap
