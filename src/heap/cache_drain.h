// Takes idle blocks out of the cache of another thread, which may run meanwhile and pays nothing
// for it: its fast paths have no lock, no fence and no flag to look at.
//
//   slots:  |  0  | b | b | b | 0 |        a fence: 0 instead of the topmost block
//             ^ bottom          ^ top
//
// malloc moves top down, takes the block from the stack's head, and puts there what the next slot
// has: a 0 in the head makes it put top back and sends it to the slow path, where it waits for the
// gate. So once every thread has passed a barrier with the fence set, no malloc brings the block
// below it into the head but one that had moved top to the fence before. If top is above it then,
// that has not happened. If top is at it, the head has to say so: it holds the fenced block when no
// malloc is under way, and then it gets a 0, too. Who had taken it from there before has moved top
// below the fence, which one more barrier shows. If after another one the fence still stands, all
// blocks from there down are out of the thread's reach. Else the thread is in use of that very
// stack, and the fence is taken back. free writes only above top, and the head.
// (tests/model/protocols/drain_model.cc)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "heap/cache_use.h"
#include "heap/process_heap.h"
#include "heap/sample_points.h"
#include "heap/space.h"
#include "sys/futex.h"
#include "sys/thread.h"

namespace tide::heap {

// Which blocks of a cache are taken.
enum class Idle : uint8_t {
  kStacks,  // of stacks whose top has not moved since look()
  kAll,
};

template <sys::VmSource Vm>
class CacheDrain {
 public:
  CacheDrain(Space<Vm>& space, ProcessHeap<Vm>& heap, ThreadCache& cache)
      : space_(space), heap_(heap), cache_(cache) {}

  // Sees which tops have moved since the last time, and how much could be had of the other stacks.
  // Returns how many moved.
  static uint32_t look(ThreadCache& cache) {
    uint32_t moved = 0;
    size_t idle_bytes = size_t{base::racy_load(cache.spans.pages)} << layout::kSpanPageShift;
    layout::for_each_stack([&](uint32_t stack, uint32_t c) {
      const uint32_t now = position(cache, stack);
      if (now != cache.seen[stack]) {
        cache.seen[stack] = now;
        ++moved;
        return;
      }
      const uint32_t count = layout::stack_count(cache, stack);
      if (count <= layout::kClassInfo[c].cache_slots) {
        idle_bytes += count * size_t{layout::kClassInfo[c].bytes};
      }
    });
    const uint32_t uses = base::racy_load(cache.spans.uses);
    moved += uses != cache.seen_span_uses;
    cache.seen_span_uses = uses;
    cache.idle_bytes = idle_bytes;
    cache.idle_looks = moved == 0 ? cache.idle_looks + 1 : 0;
    return moved;
  }

  // Takes idle blocks back to the heap, and by with_lists(cache) what else the cache holds; nothing
  // where the system has no barrier for all threads. False: the thread is in a slow path just now.
  // One caller at a time.
  template <class WithLists>
  bool run(Idle idle, WithLists with_lists) {
    if (!sys::fence_all_threads()) return true;
    cache_.gate.store(layout::kGateShut, std::memory_order_relaxed);
    const bool alone = sys::fence_all_threads() && !base::published_load(cache_.busy) &&
                       base::racy_load(cache_.state) == layout::CacheState::kOwned;
    if (alone) {
      set_fences(idle);
      if (fenced_ != 0) {
        sys::fence_all_threads();
        close_heads();
        sys::fence_all_threads();
        take_back_passed();
        // Who passed a fence and put a block there again may show the new top before the block.
        sys::fence_all_threads();
        collect();
      }
      with_lists(cache_);
    }
    if (cache_.gate.exchange(layout::kGateOpen, std::memory_order_release) ==
        layout::kGateAwaited) {
      sys::futex_wake_all(&cache_.gate);
    }
    return alone;
  }

 private:
  static uint32_t position(ThreadCache& cache, uint32_t stack) {
    return static_cast<uint32_t>(base::address_of(base::racy_load(cache.top[stack])) /
                                 sizeof(uintptr_t));
  }

  void set_fences(Idle idle) {
    layout::for_each_stack([&](uint32_t stack, uint32_t) {
      fences_[stack] = nullptr;
      if (idle == Idle::kStacks && position(cache_, stack) != cache_.seen[stack]) return;
      const uint32_t slots = count_slots(stack);
      const uint32_t gone = cache_.gone[stack];
      // Nonsense was read in the middle of a change by the thread.
      if (slots <= gone || slots > capacity(stack)) return;
      uintptr_t* const fence = layout::stack_bottom(cache_, stack) + slots;
      saved_[stack] = std::atomic_ref(*fence).exchange(0, std::memory_order_relaxed);
      fences_[stack] = fence;
      ++fenced_;
    });
  }

  // A head of 0 may be one that a malloc under way is about to write to.
  void close_heads() {
    layout::for_each_stack([&](uint32_t stack, uint32_t) {
      uintptr_t* const fence = fences_[stack];
      if (fence == nullptr) return;
      const uintptr_t* const top = base::racy_load(cache_.top[stack]);
      uintptr_t fenced = saved_[stack];
      const bool closed =
          top > fence || (top == fence && std::atomic_ref(cache_.head[stack])
                                              .compare_exchange_strong(fenced, uintptr_t{0},
                                                                       std::memory_order_relaxed));
      if (!closed) take_back(stack);
    });
  }

  void take_back_passed() {
    layout::for_each_stack([&](uint32_t stack, uint32_t) {
      uintptr_t* const fence = fences_[stack];
      if (fence != nullptr && base::racy_load(cache_.top[stack]) < fence) take_back(stack);
    });
  }

  void take_back(uint32_t stack) {
    // Not if the thread has put another block there: then it has had this one.
    uintptr_t stands = 0;
    std::atomic_ref(*fences_[stack])
        .compare_exchange_strong(stands, saved_[stack], std::memory_order_relaxed);
    fences_[stack] = nullptr;
  }

  void collect() {
    layout::for_each_stack([&](uint32_t stack, uint32_t c) {
      uintptr_t* const fence = fences_[stack];
      if (fence == nullptr || std::atomic_ref(*fence).load(std::memory_order_relaxed) != 0) return;
      uintptr_t* const bottom = layout::stack_bottom(cache_, stack);
      const uintptr_t* const first = bottom + 1 + cache_.gone[stack];
      // A fork in between loses blocks, it must not double them.
      cache_.has_gone = true;
      base::racy_store(cache_.gone[stack], static_cast<uint16_t>(fence - bottom));
      std::atomic_signal_fence(std::memory_order_release);
      give(c, first, fence, saved_[stack], take_held(stack, c));
    });
  }

  // The block that stands for the one 0 among the stack's slots, see sample_points.h. It lies below
  // the fence, for malloc does not get past it.
  uintptr_t take_held(uint32_t stack, uint32_t c) {
    if (cache_.marks == nullptr || layout::is_foreign(cache_, stack)) return 0;
    layout::StackMarks& marks = cache_.marks->stacks[c];
    if (marks.fence == nullptr) return 0;
    marks.fence = nullptr;
    return marks.held;
  }

  // The blocks in slots [first, end) and `last`; `held` where there is a 0.
  void give(uint32_t c, const uintptr_t* first, const uintptr_t* end, uintptr_t last,
            uintptr_t held) {
    void* batch[layout::kMaxBatch];
    uint32_t count = 0;
    if (last == 0) last = held;
    for (const uintptr_t* slot = first; slot != end; ++slot) {
      batch[count++] = reinterpret_cast<void*>(*slot != 0 ? *slot : held);
      if (count < layout::kMaxBatch) continue;
      heap_.give_to_slabs(space_, c, batch, count);
      count = 0;
    }
    batch[count++] = reinterpret_cast<void*>(last);
    heap_.give_to_slabs(space_, c, batch, count);
  }

  uint32_t count_slots(uint32_t stack) {
    return static_cast<uint32_t>(base::racy_load(cache_.top[stack]) -
                                 layout::stack_bottom(cache_, stack));
  }
  uint32_t capacity(uint32_t stack) { return layout::stack_capacity(cache_, stack); }

  Space<Vm>& space_;
  ProcessHeap<Vm>& heap_;
  ThreadCache& cache_;
  uint32_t fenced_ = 0;
  uintptr_t* fences_[layout::kCacheStacks];
  uintptr_t saved_[layout::kCacheStacks];
};

}  // namespace tide::heap
