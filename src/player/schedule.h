// When a thread may go on: others' operations that it waits for, the window of recorded time that
// is being played, the recorded time itself; and which threads are to be started, when.
//
// A satisfied wait is one load. Who waits spins for some microseconds and then sleeps until the
// thread that it waits for finds, at an operation of its own, that somebody wants to know.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "player/session.h"

namespace tide::player {

class Schedule {
 public:
  // `start` begins the thread of that number.
  Schedule(Session& session, void (*start)(uint32_t thread));

  // Called when the first operation begins.
  void begin(uint64_t now_ns) { begin_ns_ = now_ns; }

  // Before an operation at this recorded time, which has not been asked about; the thread's
  // counters are those of before it. All operations before the returned time may be done without
  // asking again.
  uint64_t reach(uint32_t thread, uint64_t time);

  TIDE_INLINE bool has_done(uint32_t other, uint64_t operations) const {
    return session_.threads[other].done.load(std::memory_order_acquire) >= operations;
  }
  // Until it has.
  void wait_for(uint32_t thread, uint32_t other, uint64_t operations);

  // Another operation is done; now so many.
  TIDE_INLINE void publish(ReplayThread& thread, uint64_t done) {
    thread.done.store(done, std::memory_order_release);
    if (TIDE_UNLIKELY(done >= thread.wanted.load(std::memory_order_relaxed))) wake(thread);
  }

  // The thread has done all its operations, and its counters say so. True: it was the last of all.
  bool end(uint32_t thread);

  // Starts threads when they are due that nobody else starts, until all have ended.
  void start_the_rest();

 private:
  void start_due(uint64_t time);
  void sleep_until(uint64_t time);
  void trim_if_due(uint64_t time);
  [[noreturn]] void park(ReplayThread& thread);
  // In the window that the thread is in.
  void note_live_bytes(ReplayThread& thread);
  void leave_windows(uint32_t from, uint32_t to);
  void wait_for_floor(ReplayThread& thread, uint32_t window);
  void wake(ReplayThread& thread);
  // Before a thread sleeps or ends: a reader that missed its last store is woken.
  void settle(ReplayThread& thread);

  Session& session_;
  void (*const start_)(uint32_t);
  const uint64_t spin_ticks_;
  uint64_t begin_ns_ = 0;
};

}  // namespace tide::player
