#include "player/schedule.h"

#include <sched.h>
#include <time.h>

#include "player/calls.h"
#include "sys/clock.h"
#include "sys/futex.h"
#include "sys/ticks.h"

namespace tide::player {

using format::ReplayWindow;

namespace {

// Somebody may wait longer than this only where a thread has missed that it is waited for, and has
// nothing more to do; it wakes then by itself.
constexpr uint64_t kLongestSleep = 2'000'000;
constexpr uint64_t kSpinTicks = 40'000;        // some 15 us
constexpr uint64_t kCrowdedSpinTicks = 2'000;  // with more threads than processors
// A recorded pause that is shorter is left out: the system could not sleep so exactly.
constexpr uint64_t kShortestPause = 50'000;

unsigned processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

}  // namespace

Schedule::Schedule(Session& session, void (*start)(uint32_t))
    : session_(session),
      start_(start),
      spin_ticks_(session.thread_count > processors() ? kCrowdedSpinTicks : kSpinTicks) {}

uint64_t Schedule::reach(uint32_t thread, uint64_t time) {
  ReplaySession& head = *session_.head;
  ReplayThread& self = session_.threads[thread];
  if (time > head.stop_at_ns) {
    start_due(head.stop_at_ns);
    park(self);
  }
  start_due(time);
  trim_if_due(time);
  uint64_t horizon = head.stop_at_ns == UINT64_MAX ? UINT64_MAX : head.stop_at_ns + 1;
  if (head.at_recorded_speed != 0) {
    settle(self);
    sleep_until(time);
    horizon = sys::monotonic_ns() - begin_ns_ + kShortestPause;
    if (horizon <= time) horizon = time + 1;
  }
  const auto from = static_cast<uint32_t>(self.first_window);
  uint32_t window = from;
  while (window < self.last_window && time >= session_.windows[window].end_ns) ++window;
  if (window != from) {
    note_live_bytes(self);
    self.first_window = window;
    if (head.at_recorded_speed == 0) leave_windows(from, window);
  }
  if (window > 1 && head.at_recorded_speed == 0) wait_for_floor(self, window - 1);
  if (window < self.last_window && session_.windows[window].end_ns < horizon) {
    horizon = session_.windows[window].end_ns;
  }
  const uint32_t next = head.next_start.load(std::memory_order_relaxed);
  if (next < session_.thread_count) {
    const uint64_t begin = session_.threads[session_.order[next]].begin_ns;
    if (begin < horizon) horizon = begin;
  }
  const uint64_t trim = head.next_trim_ns.load(std::memory_order_relaxed);
  return trim < horizon ? trim : horizon;
}

void Schedule::start_due(uint64_t time) {
  ReplaySession& head = *session_.head;
  uint32_t next = head.next_start.load();
  while (next < session_.thread_count) {
    const uint32_t thread = session_.order[next];
    const uint64_t begin = session_.threads[thread].begin_ns;
    if (begin > time) return;
    if (!head.next_start.compare_exchange_strong(next, next + 1)) continue;
    if (head.at_recorded_speed != 0) sleep_until(begin);
    start_(thread);
    next = head.next_start.load();
  }
}

void Schedule::sleep_until(uint64_t time) {
  for (;;) {
    const uint64_t now = sys::monotonic_ns() - begin_ns_;
    if (now + kShortestPause >= time) return;
    const uint64_t until = begin_ns_ + time;
    const timespec wake_at{static_cast<time_t>(until / 1'000'000'000),
                           static_cast<long>(until % 1'000'000'000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake_at, nullptr);
  }
}

void Schedule::trim_if_due(uint64_t time) {
  ReplaySession& head = *session_.head;
  uint64_t due = head.next_trim_ns.load(std::memory_order_relaxed);
  if (time < due) return;
  const uint64_t every = head.trim_every_ns;
  const uint64_t next = time - time % every + every;
  if (head.next_trim_ns.compare_exchange_strong(due, next) && head.is_null == 0) trim_memory();
}

void Schedule::park(ReplayThread& self) {
  if (session_.head->at_recorded_speed == 0) {
    leave_windows(static_cast<uint32_t>(self.first_window),
                  static_cast<uint32_t>(self.last_window) + 1);
  }
  settle(self);
  self.state.store(ReplayThread::kParked);
  for (;;) sys::futex_wait_shared(&session_.head->go, 1, 1'000'000'000);
}

void Schedule::note_live_bytes(ReplayThread& self) {
  const int64_t now = self.live_bytes.load(std::memory_order_relaxed);
  session_.windows[self.first_window].live_bytes.fetch_add(now - self.noted_live_bytes,
                                                           std::memory_order_relaxed);
  self.noted_live_bytes = now;
}

void Schedule::leave_windows(uint32_t from, uint32_t to) {
  ReplaySession& head = *session_.head;
  bool is_empty = false;
  for (uint32_t i = from; i < to; ++i) {
    is_empty |= session_.windows[i].threads.fetch_sub(1) == 1;
  }
  if (!is_empty) return;
  bool moved = false;
  uint32_t floor = head.floor.load();
  while (floor < head.windows && session_.windows[floor].threads.load() == 0) {
    if (head.floor.compare_exchange_strong(floor, floor + 1)) {
      ++floor;
      moved = true;
    }
  }
  if (moved && head.floor_sleepers.load() != 0) sys::futex_wake_shared(&head.floor);
}

void Schedule::wait_for_floor(ReplayThread& self, uint32_t window) {
  ReplaySession& head = *session_.head;
  if (head.floor.load() >= window) return;
  settle(self);
  const uint64_t begin = sys::processor_ticks();
  uint64_t now = begin;
  while (head.floor.load(std::memory_order_acquire) < window) {
    sys::spin_pause();
    now = sys::processor_ticks();
    if (now - begin >= spin_ticks_) break;
  }
  self.spin_ticks += now - begin;
  for (uint32_t floor; (floor = head.floor.load()) < window;) {
    head.floor_sleepers.fetch_add(1);
    sys::futex_wait_shared(&head.floor, floor, kLongestSleep);
    head.floor_sleepers.fetch_sub(1);
  }
  self.wait_ticks += sys::processor_ticks() - begin;
}

void Schedule::wait_for(uint32_t thread, uint32_t on, uint64_t operations) {
  ReplayThread& self = session_.threads[thread];
  ReplayThread& other = session_.threads[on];
  if (has_done(on, operations)) return;
  settle(self);
  ++self.waits;
  const uint64_t begin = sys::processor_ticks();
  uint64_t now = begin;
  do {
    sys::spin_pause();
    now = sys::processor_ticks();
    if (other.done.load(std::memory_order_acquire) >= operations) {
      self.spin_ticks += now - begin;
      self.wait_ticks += now - begin;
      return;
    }
  } while (now - begin < spin_ticks_);
  self.spin_ticks += now - begin;
  for (;;) {
    const uint32_t word = other.word.load();
    uint64_t wanted = other.wanted.load();
    while (operations < wanted && !other.wanted.compare_exchange_weak(wanted, operations)) {
    }
    if (other.done.load() >= operations) break;
    sys::futex_wait_shared(&other.word, word, kLongestSleep);
    if (other.done.load(std::memory_order_acquire) >= operations) break;
  }
  self.wait_ticks += sys::processor_ticks() - begin;
}

void Schedule::wake(ReplayThread& thread) {
  thread.wanted.exchange(UINT64_MAX);
  thread.word.fetch_add(1);
  sys::futex_wake_shared(&thread.word);
}

void Schedule::settle(ReplayThread& thread) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (thread.done.load(std::memory_order_relaxed) >= thread.wanted.load()) wake(thread);
}

bool Schedule::end(uint32_t thread) {
  ReplayThread& self = session_.threads[thread];
  settle(self);
  note_live_bytes(self);
  self.state.store(ReplayThread::kEnded);
  const bool is_last = session_.head->ended.fetch_add(1) + 1 == session_.thread_count;
  if (session_.head->at_recorded_speed == 0) {
    leave_windows(static_cast<uint32_t>(self.first_window),
                  static_cast<uint32_t>(self.last_window) + 1);
  }
  if (is_last) sys::futex_wake_shared(&session_.head->floor);
  return is_last;
}

void Schedule::start_the_rest() {
  ReplaySession& head = *session_.head;
  while (head.ended.load() < session_.thread_count) {
    const uint32_t next = head.next_start.load();
    const uint32_t floor = head.floor.load();
    if (next < session_.thread_count) {
      const ReplayThread& thread = session_.threads[session_.order[next]];
      if (thread.begin_ns <= head.stop_at_ns &&
          (head.at_recorded_speed != 0 || thread.first_window <= floor)) {
        start_due(thread.begin_ns);
        continue;
      }
    }
    sys::futex_wait_shared(&head.floor, floor, kLongestSleep);
  }
}

}  // namespace tide::player
