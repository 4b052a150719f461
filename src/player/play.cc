#include "player/play.h"

#include "player/calls.h"
#include "player/touch.h"
#include "sys/ticks.h"

namespace tide::player {

using format::LatencyTable;
using format::ReplayFault;
using format::ReplaySlot;
using format::ReplayTouch;

namespace {

constexpr size_t kPrefetchDistance = 8;

// Ordered with what stands around it, so that all of a call lies between two of them, and nothing
// else.
TIDE_INLINE uint64_t ordered_ticks() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
#if __has_builtin(__builtin_ia32_lfence)
  __builtin_ia32_lfence();
  const uint64_t ticks = sys::processor_ticks();
  __builtin_ia32_lfence();
#else
  const uint64_t ticks = sys::processor_ticks();
#endif
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return ticks;
}

template <class Calls, bool kIsTimed>
class Player {
 public:
  Player(Session& session, uint32_t thread, Place& place)
      : session_(session),
        self_(session.threads[thread]),
        slots_(session.slots + size_t{session.head->slots} * (thread / session.head->threads)),
        touch_(session.head->touch),
        timer_ticks_(session.head->timer_ticks),
        latencies_(kIsTimed ? &session.latencies[place.index] : nullptr) {}

  TIDE_INLINE void perform(const Operation& operation, const uint64_t*& counts,
                           const uint64_t*& touched) {
    const Call call = operation.call;
    ++calls_[static_cast<size_t>(call)];
    // The two that most operations are come first, each with all that follows for it alone: one
    // branch that can't be foreseen instead of three.
    if (call == Call::kFree) {
      release(operation, Call::kFree);
    } else if (call == Call::kMalloc) {
      allocate(operation, Call::kMalloc, 0, touch_of(operation, touched));
    } else if (format::releases(call)) {
      release(operation, call);
    } else {
      const bool has_count = call == Call::kCalloc || call == Call::kReallocarray;
      allocate(operation, call, has_count ? *counts++ : 0, touch_of(operation, touched));
    }
  }

  // Makes the counters known.
  void publish_counters() {
    for (size_t i = 0; i < format::kCallCount; ++i) {
      self_.calls[i].store(calls_[i], std::memory_order_relaxed);
    }
    self_.live_bytes.store(live_bytes_, std::memory_order_relaxed);
    self_.live_blocks.store(live_blocks_, std::memory_order_relaxed);
  }

  TIDE_INLINE void prefetch(const Operation& operation) const {
    if (operation.slot != format::WorkloadOperation::kNone) {
      __builtin_prefetch(slots_ + operation.slot, 1);
    }
  }

 private:
  TIDE_INLINE void release(const Operation& operation, Call call) {
    uint64_t size = operation.size;
    void* pointer = nullptr;
    if (operation.slot != format::WorkloadOperation::kNone) {
      ReplaySlot& slot = slots_[operation.slot];
      pointer = slot.pointer();
      size = slot.size();
      slot.set(nullptr, 0);
      account(-static_cast<int64_t>(size), -1);
    }
    const uint64_t begin = kIsTimed ? ordered_ticks() : 0;
    const bool has_size = (operation.flags & Operation::kHasSize) != 0;
    Calls::release(operation, call, pointer, has_size ? operation.size : size);
    if (kIsTimed) note_latency(operation, size, begin);
  }

  static TIDE_INLINE uint64_t touch_of(const Operation& operation, const uint64_t*& touched) {
    if (TIDE_UNLIKELY((operation.flags & Operation::kTouched) != 0)) return *touched++;
    return usual_touch(operation);
  }

  // How much of a block is written when the workload does not say: all that the program asked for.
  // Of zeroed memory, which few write as a whole, what lies in one page with others' blocks.
  static TIDE_INLINE uint64_t usual_touch(const Operation& operation) {
    const bool is_zeroed = operation.call == Call::kCalloc && operation.size > kPageBytes;
    return is_zeroed ? 0 : operation.size;
  }

  TIDE_INLINE void allocate(const Operation& operation, Call call, uint64_t count,
                            uint64_t touched) {
    ReplaySlot& slot = slots_[operation.slot];
    const bool is_realloc = call == Call::kRealloc || call == Call::kReallocarray;
    const bool has_old = is_realloc && (operation.flags & Operation::kOldBlock) != 0;
    void* const old = has_old ? slot.pointer() : nullptr;
    const uint64_t old_size = has_old ? slot.size() : 0;

    const uint64_t begin = kIsTimed ? ordered_ticks() : 0;
    void* const block = Calls::allocate(operation, call, old, count);
    if (kIsTimed) note_latency(operation, operation.size, begin);

    if (TIDE_UNLIKELY(block == nullptr) && operation.size != 0) {
      end_without_memory(session_, call, operation.size);
    }
    if (TIDE_UNLIKELY(!ReplaySlot::can_hold(block))) fail(session_, ReplayFault::kPointer);
    slot.set(block, operation.size);
    account(static_cast<int64_t>(operation.size - old_size), has_old ? 0 : 1);
    if (touch_ != ReplayTouch::kRecorded) {
      const bool is_left_zero = operation.call == Call::kCalloc && touch_ != ReplayTouch::kAll;
      touched = is_left_zero ? 0 : operation.size;
    }
    touch_block(static_cast<uint8_t*>(block), old_size, touched);
  }

  TIDE_INLINE void touch_block(uint8_t* block, uint64_t begin, uint64_t end) {
    if constexpr (Calls::kIsNull) {
      // As many stores, to memory that costs nothing.
      while (end > begin && end - begin > Calls::kBytes) {
        touch(touch_, block, 0, Calls::kBytes);
        begin += Calls::kBytes;
      }
      end = end > begin ? end - begin : 0;
      begin = 0;
    }
    touch(touch_, block, begin, end);
  }

  TIDE_INLINE void account(int64_t bytes, int64_t blocks) {
    live_bytes_ += bytes;
    live_blocks_ += blocks;
  }

  void note_latency(const Operation& operation, uint64_t size, uint64_t begin) {
    const uint64_t ticks = ordered_ticks() - begin;
    const auto kind = static_cast<size_t>(format::latency_kind(operation.call));
    (*latencies_)[kind][format::latency_band(size)].add(ticks > timer_ticks_ ? ticks - timer_ticks_
                                                                             : 0);
  }

  Session& session_;
  ReplayThread& self_;
  ReplaySlot* const slots_;
  const ReplayTouch touch_;
  const uint64_t timer_ticks_;
  LatencyTable* const latencies_;
  int64_t live_bytes_ = 0;
  int64_t live_blocks_ = 0;
  uint64_t calls_[format::kCallCount] = {};
};

template <class Calls, bool kIsTimed>
void play_with(Session& session, Schedule& schedule, const WorkloadIndex& index, uint32_t thread,
               Place& place) {
  ReplayThread& self = session.threads[thread];
  const uint32_t in_copy = thread % session.head->threads;
  const uint32_t first_of_copy = thread - in_copy;
  Player<Calls, kIsTimed> player(session, thread, place);
  Operations operations(session, index, in_copy, place);
  uint64_t horizon = 0;
  uint64_t done = 0;
  for (;;) {
    const uint64_t begin = sys::processor_ticks();
    const Batch& batch = operations.next();
    self.decode_ticks += sys::processor_ticks() - begin;
    player.publish_counters();
    if (batch.length == 0) return;
    self.time.store(batch.operations[0].time, std::memory_order_relaxed);
    const Wait* waits = batch.waits;
    const uint64_t* counts = batch.counts;
    const uint64_t* touched = batch.touched;
    const Operation* const end = batch.operations + batch.length;
    for (const Operation* operation = batch.operations; operation != end; ++operation) {
      if (TIDE_LIKELY(operation + kPrefetchDistance < end)) {
        player.prefetch(operation[kPrefetchDistance]);
      }
      if (TIDE_UNLIKELY(operation->time >= horizon)) {
        player.publish_counters();
        self.time.store(operation->time, std::memory_order_relaxed);
        horizon = schedule.reach(thread, operation->time);
      }
      if ((operation->flags & Operation::kWaits) != 0) {
        const uint32_t other = first_of_copy + waits->thread;
        if (TIDE_UNLIKELY(!schedule.has_done(other, waits->operations))) {
          player.publish_counters();
          schedule.wait_for(thread, other, waits->operations);
        }
        ++waits;
      }
      player.perform(*operation, counts, touched);
      schedule.publish(self, ++done);
    }
  }
}

}  // namespace

void play(Session& session, Schedule& schedule, const WorkloadIndex& index, uint32_t thread,
          Place& place) {
  const ReplaySession& head = *session.head;
  if (head.is_null != 0) {
    play_with<NullCalls, false>(session, schedule, index, thread, place);
  } else if (head.is_timed != 0) {
    play_with<RealCalls, true>(session, schedule, index, thread, place);
  } else {
    play_with<RealCalls, false>(session, schedule, index, thread, place);
  }
}

void calibrate_timer(Session& session) {
  // The median of the pairs is what most calls bear; found by counting.
  constexpr uint32_t kPairs = 20'001;
  constexpr size_t kMost = 1024;
  static uint32_t counts[kMost];
  for (uint32_t i = 0; i < kPairs; ++i) {
    const uint64_t begin = ordered_ticks();
    const uint64_t ticks = ordered_ticks() - begin;
    ++counts[ticks < kMost ? ticks : kMost - 1];
  }
  uint32_t seen = 0;
  size_t ticks = 0;
  while ((seen += counts[ticks]) <= kPairs / 2) ++ticks;
  session.head->timer_ticks = ticks;
}

}  // namespace tide::player
