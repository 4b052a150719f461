// Runs a list of operations on a fresh engine and checks every answer against what a simple map
// knows: no overlap, alignment, contents, zero where promised, usable size, heap limits.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "tests/model/operation.h"
#include "tests/unit/engine_client.h"

namespace tide::tests {

struct ModelOptions {
  size_t page_bytes = 4096;
  size_t huge_threshold_bytes = size_t{6} << 20;  // small, so that huge blocks are cheap
  size_t thread_cache_bytes = size_t{1} << 20;
  bool with_failures = false;
  size_t hard_limit_bytes = 0;

  bool may_run_out() const { return with_failures || hard_limit_bytes != 0; }
};

class Model {
 public:
  explicit Model(const ModelOptions& options)
      : options_(options), box_({.page_bytes = options.page_bytes}), engine_(*box_.engine) {
    heap::Config config = heap::Config::defaults();
    config.huge_threshold_bytes = options.huge_threshold_bytes;
    config.thread_cache_bytes = options.thread_cache_bytes;
    config.huge_cache_bytes = size_t{30} << 20;
    config.limit_soft_bytes = options.hard_limit_bytes / 4 * 3;
    config.limit_hard_bytes = options.hard_limit_bytes;
    require(box_.start(config), "the engine starts");
    for (auto& thread : threads_) thread = std::make_unique<Client>(engine_);
  }

  // Ends the process with a line on stderr when the engine does something wrong.
  void run(const Operations& list) {
    for (const Operation& op : list) {
      step(op);
      ++step_;
      if (step_ % 32 == 0) check_footprint();
    }
    box_.os.heal();
    engine_.verify();
    check_visit();
    for (Slot& slot : slots_) {
      if (slot.block != nullptr) release(*threads_[0], slot);
    }
    for (FakeHeap*& heap : heaps_) {
      if (heap != nullptr) engine_.heap_destroy(heap);
      heap = nullptr;
    }
    for (auto& thread : threads_) engine_.purge(thread->cache());
    engine_.verify();
    heap::Stats stats;
    engine_.collect_stats(stats);
    require(stats.live_blocks == 0 && stats.live_bytes == 0, "all is free at the end");
    check_recovery();
  }

 private:
  struct Slot {
    unsigned char* block = nullptr;
    size_t bytes = 0;  // asked for
    unsigned char value = 0;
    int heap = -1;
  };

  void require(bool condition, const char* what) {
    if (condition) return;
    fprintf(stderr, "model: step %zu: does not hold: %s\n", step_, what);
    fflush(stderr);
    _exit(3);
  }

  // Every byte of small blocks; of large ones both ends and some of every page.
  template <class Visit>
  static void for_some_bytes(size_t bytes, Visit visit) {
    if (bytes <= 4096) {
      for (size_t i = 0; i < bytes; ++i) visit(i);
      return;
    }
    for (size_t i = 0; i < 128; ++i) visit(i);
    for (size_t i = 128; i<bytes - 128; i += bytes> 1'000'000 ? 4001 : 509) visit(i);
    for (size_t i = bytes - 128; i < bytes; ++i) visit(i);
  }

  static unsigned char byte_at(unsigned char value, size_t i) {
    return static_cast<unsigned char>(value + i * 7);
  }

  void fill(Slot& slot) {
    for_some_bytes(slot.bytes, [&](size_t i) { slot.block[i] = byte_at(slot.value, i); });
    // What is usable may be used.
    const size_t usable = engine_.usable_bytes(slot.block);
    if (usable > slot.bytes) slot.block[usable - 1] = 0xff;
  }

  // I-LIMIT-1, against what the system says.
  void check_footprint() {
    const size_t resident = box_.os.resident_bytes();
    const size_t footprint = engine_.limits().footprint();
    require(resident <= footprint, "what is resident counts");
    const size_t limit = options_.hard_limit_bytes;
    require(limit == 0 || resident <= limit, "the hard limit holds");
  }

  // No room is lost to a limit that was reached.
  void check_recovery() {
    if (options_.with_failures) return;
    require(engine_.count_footprint() == engine_.limits().footprint(), "nothing is counted twice");
    if (options_.hard_limit_bytes == 0) return;
    void* const block = threads_[0]->allocate(options_.hard_limit_bytes / 2);
    require(block != nullptr, "after all is freed half of the limit is to be had at once");
    threads_[0]->release(block);
  }

  void check(const Slot& slot, size_t bytes) {
    for_some_bytes(slot.bytes, [&](size_t i) {
      if (i < bytes) require(slot.block[i] == byte_at(slot.value, i), "a block keeps its contents");
    });
  }

  void enter(Slot& slot, void* block, const Operation& op, size_t alignment, int heap) {
    if (block == nullptr) {
      require(options_.may_run_out() || heap >= 0, "memory is there");
      return;
    }
    const uintptr_t begin = base::address_of(block);
    const size_t usable = engine_.usable_bytes(block);
    require(begin % 16 == 0 && begin % alignment == 0, "alignment");
    require(usable >= op.bytes && usable != 0, "the usable size is at least what was asked for");
    require(!live_.overlaps(begin, begin + usable), "live blocks do not overlap");
    require((engine_.heap_of(block) == nullptr) == (heap < 0), "a block knows its heap");
    live_.add(begin, begin + usable);
    slot = {static_cast<unsigned char*>(block), op.bytes, ++next_value_, heap};
    if (op.what == Do::kZeroed || (op.what == Do::kHeapAllocate && op.slot % 2 == 0)) {
      for_some_bytes(op.bytes, [&](size_t i) { require(slot.block[i] == 0, "zeroed is zero"); });
    }
    fill(slot);
    if (heap >= 0) ++heap_blocks_[heap];
  }

  void leave(const Slot& slot) {
    const uintptr_t begin = base::address_of(slot.block);
    live_.remove(begin, begin + engine_.usable_bytes(slot.block));
    if (slot.heap >= 0) --heap_blocks_[slot.heap];
  }

  void release(Client& client, Slot& slot) {
    check(slot, slot.bytes);
    leave(slot);
    require(client.release(slot.block) == heap::Released::kDone, "a live block can be released");
    require(engine_.usable_bytes(slot.block) == 0, "a released block is not live");
    require(client.release(slot.block) != heap::Released::kDone, "a double free is noticed");
    slot = {};
  }

  void reallocate(Client& client, Slot& slot, size_t bytes) {
    if (bytes == 0) bytes = 1;
    check(slot, slot.bytes);
    const Slot before = slot;
    leave(before);
    void* const moved = client.reallocate(slot.block, bytes);
    if (moved == nullptr) {
      require(options_.may_run_out() || slot.heap >= 0, "memory is there for realloc");
      slot.block = before.block;
    } else {
      slot.block = static_cast<unsigned char*>(moved);
    }
    const uintptr_t begin = base::address_of(slot.block);
    const size_t usable = engine_.usable_bytes(slot.block);
    require(!live_.overlaps(begin, begin + usable), "live blocks do not overlap after realloc");
    live_.add(begin, begin + usable);
    if (slot.heap >= 0) {
      ++heap_blocks_[slot.heap];
      require(engine_.heap_of(slot.block) == heaps_[slot.heap], "realloc stays in its heap");
    }
    check(slot, moved == nullptr ? slot.bytes : bytes);
    if (moved == nullptr) return;
    require(usable >= bytes, "the usable size after realloc");
    slot.bytes = bytes;
    slot.value = ++next_value_;
    fill(slot);
  }

  void step(const Operation& op) {
    Client& client = *threads_[op.thread];
    Slot& slot = slots_[op.slot];
    FakeHeap*& heap = heaps_[op.heap];
    const size_t alignment = size_t{1} << op.log_align;
    switch (op.what) {
      case Do::kAllocate:
        if (slot.block == nullptr) enter(slot, client.allocate(op.bytes), op, 1, -1);
        break;
      case Do::kZeroed:
        if (slot.block == nullptr) enter(slot, client.allocate_zeroed(op.bytes), op, 1, -1);
        break;
      case Do::kAligned:
        if (slot.block == nullptr) {
          enter(slot, client.allocate_aligned(alignment, op.bytes), op, alignment, -1);
        }
        break;
      case Do::kHeapAllocate:
        if (slot.block != nullptr || heap == nullptr) break;
        enter(slot, engine_.heap_allocate(heap, op.bytes, alignment, op.slot % 2 == 0), op,
              alignment, op.heap);
        check_use(op.heap);
        break;
      case Do::kRelease:
        if (slot.block != nullptr) release(client, slot);
        break;
      case Do::kReallocate:
        if (slot.block != nullptr) reallocate(client, slot, op.bytes);
        break;
      case Do::kHeapCreate:
        if (heap == nullptr) heap = engine_.heap_create(kHeapLimit);
        break;
      case Do::kHeapDestroy:
        if (heap == nullptr) break;
        check_use(op.heap);
        for (Slot& other : slots_) {
          if (other.block == nullptr || other.heap != op.heap) continue;
          check(other, other.bytes);
          leave(other);
          other = {};
        }
        engine_.heap_destroy(heap);
        heap = nullptr;
        break;
      case Do::kPurge:
        client.purge();
        break;
      case Do::kPark:
        client.park();
        break;
      case Do::kAcquire:
        client.acquire();
        break;
      case Do::kVerify:
        engine_.verify();
        check_visit();
        break;
      case Do::kFailCalls:
        box_.os.fail_calls(box_.os.calls() + 1 + op.slot % 3, op.bytes);
        break;
    }
  }

  void check_use(int heap) {
    const heap::HeapUse use = engine_.heap_use(heaps_[heap]);
    require(use.live_blocks == heap_blocks_[heap], "a heap counts its blocks");
    require(use.live_bytes <= kHeapLimit, "a heap's limit holds");
  }

  void check_visit() {
    struct Sum {
      Model& model;
      size_t blocks = 0;
    } sum{*this};
    engine_.visit_blocks(
        [](const heap::BlockInfo& info, void* argument) {
          auto& s = *static_cast<Sum*>(argument);
          const uintptr_t begin = base::address_of(info.address);
          s.model.require(s.model.live_.covers(begin, begin + info.usable_bytes),
                          "the visit shows live blocks only");
          ++s.blocks;
          return true;
        },
        &sum);
    size_t live = 0;
    for (const Slot& slot : slots_) live += slot.block != nullptr;
    require(sum.blocks == live, "the visit shows every live block");
  }

  static constexpr size_t kHeapLimit = size_t{20} << 20;

  const ModelOptions options_;
  EngineBox box_;
  FakeEngine& engine_;
  std::unique_ptr<Client> threads_[kThreads];
  Slot slots_[kSlots];
  FakeHeap* heaps_[kHeaps] = {};
  size_t heap_blocks_[kHeaps] = {};
  Ranges live_;
  size_t step_ = 0;
  unsigned char next_value_ = 0;
};

}  // namespace tide::tests
