// Numbers for the live blocks of a workload, so that threads which do it again rarely have to wait
// for each other just because of a number.
//
// Who empties a slot may fill it again. A thread without empty slots gets a new one, as long as
// there are not many more than live blocks at the peak so far; else it takes over those that
// another thread emptied longest ago, and has to wait until that is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tide::trace {

class WorkloadSlots {
 public:
  struct Taken {
    uint32_t slot;
    // Whose operations have to be done first, and how many; kNobody: none.
    uint32_t thread;
    uint64_t operations;
  };
  static constexpr uint32_t kNobody = UINT32_MAX;

  // An empty slot for that operation of the thread.
  Taken take(uint32_t thread, uint64_t operation) {
    if (++live_ > peak_) peak_ = live_;
    Own& own = of(thread);
    if (own.count() == 0) return take_other(thread, operation);
    return {own.take_last(), kNobody, 0};
  }
  // The thread's operation of that number (from 0) empties the slot.
  void give(uint32_t thread, uint32_t slot, uint64_t operation) {
    --live_;
    of(thread).emptied.push_back({slot, operation});
  }

  uint32_t count() const { return count_; }

 private:
  struct Empty {
    uint32_t slot;
    uint64_t operation;  // of the thread that has it
  };
  // Of a thread.
  struct Own {
    std::vector<Empty> emptied;  // last at the back
    size_t first = 0;            // others have those before it

    size_t count() const { return emptied.size() - first; }
    uint32_t take_last() {
      const uint32_t slot = emptied.back().slot;
      emptied.pop_back();
      return slot;
    }
  };
  static constexpr uint32_t kSpare = 1024;
  static constexpr size_t kMostTakenOver = 256;

  Own& of(uint32_t thread) {
    if (thread >= own_.size()) own_.resize(size_t{thread} + 1);
    return own_[thread];
  }
  Taken take_other(uint32_t thread, uint64_t operation);
  Taken take_over(uint32_t thread, uint64_t operation);

  std::vector<Own> own_;  // by thread
  uint32_t count_ = 0;
  uint32_t live_ = 0;
  uint32_t peak_ = 0;
};

}  // namespace tide::trace
