// The samples of a process: sums for each call stack, and the live blocks among them.
//
// Works over any allocator. An object of static storage; any thread may call, also in a signal
// handler that interrupted one of these functions. Keeps errno. Memory is mapped as it is needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/mix.h"
#include "base/racy.h"
#include "ds/lock.h"
#include "layout/profile_table.h"

namespace tide::probe {

struct Sample {
  const void* block;
  size_t bytes;
  double chance;  // with which it was taken
  const uintptr_t* frames;
  size_t frame_count;
  int32_t thread;
  double same =
      0;  // allocations that earlier samples stand for which this one had to be one of, too
};

class SampleTable {
 public:
  constexpr SampleTable() = default;

  static constexpr size_t kMostFrames = 64;

  void add(const Sample& sample);
  // The block is about to be freed; most are no samples.
  void remove(const void* block) {
    if (has_live() && holds(block)) remove_known(block);
  }
  // A live sample, or null: most blocks are none.
  TIDE_INLINE const layout::SampledBlock* find(const void* block) const {
    const Blocks* const blocks = blocks_.load(std::memory_order_acquire);
    const auto address = reinterpret_cast<uint64_t>(block);
    if (blocks == nullptr || address <= kGone) return nullptr;
    for (size_t at = first_slot(address, blocks->mask);; at = (at + 1) & blocks->mask) {
      const uint64_t there = base::racy_load(blocks->slots[at].address);
      if (there == address) return &blocks->slots[at];
      if (there == 0) return nullptr;
    }
  }
  // A sample that the caller has found has another size now, where it lies. Small changes add up
  // before they are noted.
  TIDE_INLINE void resize(const layout::SampledBlock& found, size_t bytes) {
    const size_t known = base::racy_load(found.bytes);
    const size_t change = bytes > known ? bytes - known : known - bytes;
    if (TIDE_UNLIKELY(change > known / kLeastChange)) note_size(found.address, bytes);
  }
  bool has_live() const { return live_count_.load(std::memory_order_relaxed) != 0; }
  bool holds(const void* block) const { return find(block) != nullptr; }
  // Forgets all samples.
  void reset();
  // In a forked child, which goes on with a copy.
  void repair_in_child() TIDE_NO_THREAD_SAFETY_ANALYSIS;

  bool is_on() const { return mode() != layout::kSamplesNothing; }
  bool counts_calls() const { return layout::counts_calls(mode()); }
  int64_t gap_bytes() const {
    return static_cast<int64_t>(__atomic_load_n(&table_.gap_bytes, __ATOMIC_RELAXED));
  }
  // Samples are made from now on, one in so many bytes on average.
  void start(uint64_t gap_bytes, bool counts_calls = false);
  // Calls are counted no more when the time is over for which somebody outside wanted that.
  void look_at_end();
  void stop() { __atomic_store_n(&table_.is_on, 0, __ATOMIC_RELAXED); }

  // When it was first started, whatever was forgotten since: monotonic, 0: never.
  uint64_t began_ns() const { return began_ns_; }

  constexpr const layout::ProfileTable* table() const { return &table_; }
  // out(argument, bytes, count) with the table, its stacks, frames and slots, as they are at one
  // moment. False: out() said so.
  using Write = bool (*)(void* argument, const void* bytes, size_t count);
  bool write(Write out, void* argument);
  // Every live sample, without the lock: `visit` may call what takes others. False: it said so.
  using Visit = bool (*)(void* argument, const layout::SampledBlock& block);
  bool visit_live(Visit visit, void* argument) const;

 private:
  uint32_t mode() const { return __atomic_load_n(&table_.is_on, __ATOMIC_RELAXED); }

  static constexpr uint64_t kGone = 1;
  static constexpr uint32_t kLatecomers = 32;
  // A block that changes its length where it lies is noted when it has by so much of it.
  static constexpr size_t kLeastChange = 32;

  struct Change;
  uint32_t stack_of(const Sample& sample, uint64_t hash) TIDE_REQUIRES(lock_);
  uint32_t add_stack(const Sample& sample, uint64_t hash) TIDE_REQUIRES(lock_);
  bool make_room_for_block() TIDE_REQUIRES(lock_);
  bool make_room_for_stack(size_t frames) TIDE_REQUIRES(lock_);
  void note_peak(uint64_t now) TIDE_REQUIRES(lock_);
  void remove_known(const void* block);
  void note_size(uint64_t address, size_t bytes);
  static size_t first_slot(uint64_t address, uint64_t mask) { return base::mix(address) & mask; }
  void remove_locked(uint64_t address) TIDE_REQUIRES(lock_);
  void take_latecomers() TIDE_REQUIRES(lock_);
  layout::SampledStack* stacks() { return reinterpret_cast<layout::SampledStack*>(table_.stacks); }

  layout::ProfileTable table_{};
  uint64_t began_ns_ = 0;
  std::atomic<uint32_t> live_count_{0};
  // What is looked up without the lock: a power of two of slots, and where they are.
  struct Blocks {
    uint64_t mask;
    layout::SampledBlock* slots;  // behind it
  };
  std::atomic<Blocks*> blocks_{nullptr};
  uint32_t used_slots_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t* stack_index_ TIDE_GUARDED_BY(lock_) = nullptr;  // by hash: number + 1
  uint32_t stack_room_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t frame_room_ TIDE_GUARDED_BY(lock_) = 0;
  // Blocks that a signal handler freed while its thread had the lock.
  std::atomic<uint64_t> latecomers_[kLatecomers]{};
  std::atomic<bool> has_latecomers_{false};
  ds::Lock<ds::Rank::kSamples> lock_;
};

}  // namespace tide::probe
