// First-class heaps: blocks of their own slabs, spans and mappings, a limit in bytes, and an end at
// which all of it goes at once. One lock per heap; any thread may allocate, and free with plain
// free.
//
// Their blocks carry the state kLiveSpecial, so that free takes its slow path and finds the heap by
// the owner id in the slab, the span or the huge block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "ds/lock.h"
#include "heap/class_slabs.h"
#include "heap/metadata.h"
#include "heap/space.h"

namespace tide::heap {

struct HeapUse {
  size_t live_bytes;
  size_t live_blocks;
  size_t limit_bytes;  // SIZE_MAX: none
  size_t kept_bytes;   // freed since the last time that free pages went back, and not used again
  size_t soft_limit_bytes;  // of live and kept bytes together; SIZE_MAX: none
};

template <sys::VmSource Vm>
struct PrivateHeap {
  ds::Lock<ds::Rank::kSlabs> lock;
  uint16_t id;
  bool is_live;  // not yet destroyed; the record itself stays for the next heap
  HeapUse use TIDE_GUARDED_BY(lock);
  PrivateHeap* next_unused;
  ClassSlabs<Vm> slabs[layout::kClassCount];

  // Counts `bytes` in, unless that breaks the limit. Holding `lock`.
  bool admit(size_t bytes) TIDE_REQUIRES(lock) {
    if (bytes > use.limit_bytes || use.live_bytes > use.limit_bytes - bytes) return false;
    use.live_bytes += bytes;
    ++use.live_blocks;
    use.kept_bytes -= use.kept_bytes < bytes ? use.kept_bytes : bytes;
    return true;
  }
  void dismiss(size_t bytes) TIDE_REQUIRES(lock) {
    use.live_bytes -= bytes;
    --use.live_blocks;
    use.kept_bytes += bytes;
  }
  // Whether the soft limit asks for free pages to go back, and there are enough to be worth it.
  bool keeps_too_much() const TIDE_REQUIRES(lock) {
    constexpr size_t kWorth = size_t{256} << 10;
    return use.kept_bytes >= kWorth && (use.live_bytes > use.soft_limit_bytes ||
                                        use.kept_bytes > use.soft_limit_bytes - use.live_bytes);
  }
};

// All first-class heaps by id; ids of destroyed heaps are used again.
template <sys::VmSource Vm>
class HeapTable {
 public:
  static constexpr uint32_t kMostHeaps = 65535;

  constexpr HeapTable() = default;

  PrivateHeap<Vm>* create(Space<Vm>& space, Metadata<Vm>& metadata, size_t limit_bytes) {
    const ds::LockGuard guard(lock_);
    PrivateHeap<Vm>* heap = unused_;
    if (heap != nullptr) {
      unused_ = heap->next_unused;
    } else {
      if (count_ == kMostHeaps) return nullptr;
      heap = static_cast<PrivateHeap<Vm>*>(metadata.allocate(space.vm, space.limits, sizeof *heap));
      if (heap == nullptr) return nullptr;
      heap->id = static_cast<uint16_t>(count_ + 1);
      base::racy_store(by_id_[heap->id], heap);
      base::racy_store(count_, count_ + 1);
    }
    for (ClassSlabs<Vm>& slabs : heap->slabs) slabs.reset();
    {
      const ds::LockGuard own(heap->lock);
      heap->use = {0, 0, limit_bytes, 0, SIZE_MAX};
    }
    base::racy_store(heap->is_live, true);
    base::racy_store(live_, live_ + 1);
    return heap;
  }

  // The heap's blocks are gone already.
  void retire(PrivateHeap<Vm>* heap) {
    const ds::LockGuard guard(lock_);
    base::racy_store(heap->is_live, false);
    heap->next_unused = unused_;
    unused_ = heap;
    base::racy_store(live_, live_ - 1);
  }

  PrivateHeap<Vm>* by_id(uint16_t id) const { return base::racy_load(by_id_[id]); }
  uint32_t live_count() const { return base::racy_load(live_); }
  uint32_t count() const { return base::racy_load(count_); }
  ds::Lock<ds::Rank::kHeaps>& lock() { return lock_; }

 private:
  friend struct EngineMap;

  ds::Lock<ds::Rank::kHeaps> lock_;
  uint32_t count_ = 0;
  uint32_t live_ = 0;
  PrivateHeap<Vm>* unused_ TIDE_GUARDED_BY(lock_) = nullptr;
  PrivateHeap<Vm>* by_id_[kMostHeaps + 1] = {};
};

}  // namespace tide::heap
