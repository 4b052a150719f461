// Waits between threads that run in any order: no operation is done before what it waits for, none
// waits for ever, and no window begins too early.
#include "player/schedule.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace tide::player {
namespace {

struct Step {
  uint64_t time;
  uint32_t other;  // UINT32_MAX: waits for nobody
  uint64_t operations;
};

class ScheduleTest : public testing::Test {
 protected:
  void make(uint32_t threads, uint32_t windows, uint64_t window_ns) {
    counters_ = std::make_unique<ReplayThread[]>(threads);
    windows_ = std::make_unique<format::ReplayWindow[]>(windows);
    order_.resize(threads);
    head_.threads = threads;
    head_.copies = 1;
    head_.windows = windows;
    head_.stop_at_ns = UINT64_MAX;
    head_.next_trim_ns = UINT64_MAX;
    head_.next_start = threads;  // the test starts them
    for (uint32_t i = 0; i < windows; ++i) {
      windows_[i].end_ns = i + 1 == windows ? UINT64_MAX : (i + 1) * window_ns;
      windows_[i].threads = threads;
    }
    for (uint32_t i = 0; i < threads; ++i) {
      order_[i] = i;
      counters_[i].wanted = UINT64_MAX;
      counters_[i].last_window = windows - 1;
    }
    session_ = {&head_, counters_.get(), order_.data(), windows_.get(), nullptr, nullptr, threads};
  }

  ReplaySession head_{};
  std::unique_ptr<ReplayThread[]> counters_;
  std::unique_ptr<format::ReplayWindow[]> windows_;
  std::vector<uint32_t> order_;
  Session session_{};
};

TEST_F(ScheduleTest, RandomWaitsAreKept) {
  constexpr uint64_t kOperations = 3000;
  constexpr uint64_t kWindow = 1000;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 random(seed);
    const auto threads = static_cast<uint32_t>(2 + seed % 6);
    constexpr uint32_t kWindows = kOperations * 10 / kWindow;
    make(threads, kWindows, kWindow);
    head_.floor = 0;
    head_.ended = 0;
    // All threads' operations in one order of time: each may wait for any that is earlier.
    std::vector<std::vector<Step>> steps(threads);
    std::vector<uint64_t> done(threads);
    for (uint64_t time = 0; time < kOperations * 10; time += 1 + random() % 9) {
      const auto thread = static_cast<uint32_t>(random() % threads);
      const auto other = static_cast<uint32_t>(random() % threads);
      const bool waits = other != thread && done[other] != 0 && random() % 3 == 0;
      steps[thread].push_back({time, waits ? other : UINT32_MAX, done[other]});
      ++done[thread];
    }
    Schedule schedule(session_, [](uint32_t) { FAIL() << "nobody is to be started"; });
    std::atomic<int> faults{0};
    const auto play = [&](uint32_t thread) {
      uint64_t horizon = 0;
      uint64_t count = 0;
      int64_t live = 0;
      for (const Step& step : steps[thread]) {
        counters_[thread].live_bytes = live;
        if (step.time >= horizon) horizon = schedule.reach(thread, step.time);
        if (step.other != UINT32_MAX) {
          schedule.wait_for(thread, step.other, step.operations);
          if (counters_[step.other].done.load() < step.operations) ++faults;
        }
        // Nobody is more than a window and the one before it behind.
        const uint64_t window = step.time / kWindow;
        if (window > 1 && head_.floor.load() + 1 < window) ++faults;
        schedule.publish(counters_[thread], ++count);
        live += static_cast<int64_t>(step.time % 7) - 3;
      }
      counters_[thread].live_bytes = live;
      schedule.end(thread);
    };
    std::vector<std::thread> running;
    for (uint32_t i = 0; i < threads; ++i) running.emplace_back(play, i);
    for (std::thread& thread : running) thread.join();
    EXPECT_EQ(faults, 0) << "seed " << seed;
    EXPECT_EQ(head_.ended, threads) << "seed " << seed;
    EXPECT_EQ(head_.floor, kWindows) << "seed " << seed;
    std::vector<int64_t> live(kWindows);
    for (const auto& own : steps) {
      for (const Step& step : own) {
        live[step.time / kWindow] += static_cast<int64_t>(step.time % 7) - 3;
      }
    }
    for (uint32_t i = 0; i < kWindows; ++i) {
      EXPECT_EQ(windows_[i].live_bytes, live[i]) << "seed " << seed << ", window " << i;
    }
  }
}

}  // namespace
}  // namespace tide::player
