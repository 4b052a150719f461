// Definitions of Zone's functions that give memory back. Included where they are called.
#pragma once

#include "heap/zone.h"

namespace tide::heap {

template <sys::VmSource Vm>
size_t Zone<Vm>::purge_pool(Purger<Vm>& purger, uint32_t most, size_t* known_gone) {
  size_t total = 0;
  for (bool refused = false; most != 0 && !refused;) {
    // All of them come off the list at once; of some, no more than can be counted off quickly.
    const bool all = most >= dirty_.count();
    const uint32_t some = all || most < kMostCounted ? most : kMostCounted;
    most -= some;
    uint32_t chain = detach_oldest(some);
    if (chain == layout::kNoSlab) break;
    chain = SlabPool::sorted(slabs_, chain);
    PurgeBatch<Vm> batch(purger);
    for (uint32_t i = chain; i != layout::kNoSlab; i = slabs_[i].next) {
      batch.add(slab_address(i), slab_address(i + 1));
    }
    batch.flush();
    total += batch.gone_bytes() + purge_states(purger, chain) + purge_bitmaps(purger, chain);
    while (chain != layout::kNoSlab) {
      const uint32_t index = chain;
      chain = slabs_[chain].next;
      const bool clean = batch.is_gone(slab_address(index + 1));
      refused = refused || !clean;
      const size_t purged = purged_bytes(slabs_[index]);
      if (clean) limits_->dismiss(slab_bytes() - purged);
      if (clean && known_gone != nullptr) *known_gone += purged;
      slabs_[index].used_before = !clean || purger.lazily;
      const ds::LockGuard guard(lock_);
      if (slabs_[index].resident) base::racy_store(ahead_, ahead_ - 1);
      slabs_[index].resident = false;
      push(index, clean);
    }
  }
  return total;
}

template <sys::VmSource Vm>
size_t Zone<Vm>::unmap_pools(Vm& vm) {
  const ds::LockGuard guard(lock_);
  push_untouched();
  if (!bring_all_steps_back(vm, steps_, base_, zone_.end())) return 0;
  ahead_ = 0;
  base::racy_store(pool_returned_, size_t{0});
  size_t total = 0;
  for (SlabPool* pool : {&dirty_, &clean_}) {
    const bool clean = pool == &clean_;
    uint32_t index = pool->is_empty() ? layout::kNoSlab : pool->detach_oldest(slabs_, UINT32_MAX);
    while (index != layout::kNoSlab) {
      const uint32_t next = slabs_[index].next;
      slabs_[index].used_before = is_whole(slabs_[index]);
      slabs_[index].resident = false;
      slabs_[index].pool = layout::Pool::kNone;
      // Said before it is done: a forked child must not take it for mapped.
      slabs_[index].slot = layout::Slot::kUnmapped;
      if (vm.unmap(reinterpret_cast<void*>(slab_address(index)), slab_bytes())) {
        slabs_[index].next = unmapped_;
        unmapped_ = index;
        base::racy_store(unmapped_bytes_, unmapped_bytes_ + slab_bytes());
        if (!clean) limits_->dismiss(slab_bytes() - purged_bytes(slabs_[index]));
        forget_all_purged(slabs_[index]);
        total += slab_bytes();
      } else {
        slabs_[index].slot = layout::Slot::kMapped;
        push(index, clean);
      }
      index = next;
    }
  }
  return total;
}

// The state bytes of slabs without blocks are all zero, or need not be anything else.
template <sys::VmSource Vm>
size_t Zone<Vm>::purge_states(Purger<Vm>& purger, uint32_t chain) {
  if (purger.lazily) return 0;
  const size_t page = purger.vm.page_size();
  PurgeBatch<Vm> batch(purger);
  while (chain != layout::kNoSlab) {
    const uint32_t first = chain;
    uint32_t end = first;
    for (; chain == end; chain = slabs_[chain].next) {
      base::racy_store(slabs_[end++].no_states, true);
    }
    const uintptr_t states = base::address_of(states_);
    const uintptr_t from = base::align_up(states + size_t{first} * layout::kGranulesPerSlab, page);
    const uintptr_t to = base::align_down(states + size_t{end} * layout::kGranulesPerSlab, page);
    if (from < to) batch.add(from, to);
  }
  batch.flush();
  return batch.gone_bytes();
}

// If slabs [first, end) are all out of use: takes those of them that are in the pool of clean slabs
// out of it, into a chain by `next`. False: one is in use, or may be any moment.
template <sys::VmSource Vm>
bool Zone<Vm>::detach_unused(uint32_t first, uint32_t end, uint32_t& chain) {
  const ds::LockGuard guard(lock_);
  if (end > untouched_) return false;
  for (uint32_t i = first; i != end; ++i) {
    const layout::Pool pool = slabs_[i].pool;
    if (pool != layout::Pool::kClean && pool != layout::Pool::kLeaving) return false;
  }
  for (uint32_t i = first; i != end; ++i) {
    if (slabs_[i].pool != layout::Pool::kClean) continue;
    clean_.remove(slabs_, i);
    slabs_[i].pool = layout::Pool::kLeaving;
    slabs_[i].next = chain;
    chain = i;
  }
  return true;
}

// The bitmaps of slabs without blocks are all zero. Those of some slabs share a page, and it goes
// when none of these is in use. The chain is sorted.
template <sys::VmSource Vm>
size_t Zone<Vm>::purge_bitmaps(Purger<Vm>& purger, uint32_t chain) {
  if (purger.lazily) return 0;
  const auto group = static_cast<uint32_t>(page_bytes_ / sizeof(Bitmap));
  PurgeBatch<Vm> batch(purger);
  uint32_t clean = layout::kNoSlab;
  while (chain != layout::kNoSlab) {
    const uint32_t first = chain / group * group;
    const uint32_t end = first + group;
    while (chain < end) chain = slabs_[chain].next;  // kNoSlab is above all numbers
    if (!detach_unused(first, end, clean)) continue;
    batch.add(base::address_of(bitmaps_ + first), base::address_of(bitmaps_ + end));
  }
  batch.flush();
  const ds::LockGuard guard(lock_);
  while (clean != layout::kNoSlab) {
    const uint32_t index = clean;
    clean = slabs_[index].next;
    push(index, true);
  }
  return batch.gone_bytes();
}

}  // namespace tide::heap
