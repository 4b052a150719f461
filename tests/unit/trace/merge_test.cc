// Threads' events in one order: also where the clocks of CPUs differ, and where events are missing.
#include "trace/merge.h"

#include <gtest/gtest.h>

#include <map>
#include <unordered_map>

#include "tests/unit/trace/history.h"
#include "tests/unit/trace/vector_stream.h"

namespace tide::trace {
namespace {

Event make(uint32_t thread, uint64_t time_ns, Call call, uint64_t pointer, uint64_t size = 8) {
  return event_of(
      {.thread = thread, .tick = time_ns, .call = call, .pointer = pointer, .size = size});
}

// As text: "1+64" thread 1 allocates at 64, "2-64" thread 2 frees it, "?" unknown, "x" vanished.
std::string order(std::vector<std::vector<Event>> threads, Oddities* oddities = nullptr) {
  Merge merge;
  for (auto& events : threads) merge.add(std::make_unique<VectorStream>(std::move(events)));
  std::string text;
  uint64_t last_ns = 0;
  while (const Event* event = merge.next()) {
    EXPECT_GE(event->time_ns, last_ns);
    last_ns = event->time_ns;
    if (!text.empty()) text += ' ';
    text += std::to_string(event->thread);
    text += came(*event)                 ? '+'
            : event->call == Call::kNone ? 'x'
            : event->gone.is_known       ? '-'
                                         : '?';
    text += std::to_string(event->pointer);
  }
  if (oddities != nullptr) *oddities = merge.oddities();
  return text;
}

TEST(Merge, FollowsTime) {
  EXPECT_EQ(order({{make(1, 10, Call::kMalloc, 64), make(1, 30, Call::kFree, 128)},
                   {make(2, 20, Call::kMalloc, 128), make(2, 40, Call::kFree, 64)}}),
            "1+64 2+128 1-128 2-64");
}

TEST(Merge, AReleaseWaitsForItsBlock) {
  Oddities oddities;
  EXPECT_EQ(order({{make(1, 20, Call::kMalloc, 64), make(1, 50, Call::kMalloc, 8)},
                   {make(2, 15, Call::kFree, 64), make(2, 16, Call::kMalloc, 256)}},
                  &oddities),
            "1+64 2-64 2+256 1+8");
  EXPECT_EQ(oddities.reordered, 1u);
  EXPECT_EQ(oddities.unknown_releases, 0u);
}

TEST(Merge, AnAllocationWaitsUntilItsAddressIsFree) {
  Oddities oddities;
  EXPECT_EQ(order({{make(1, 10, Call::kMalloc, 64), make(1, 30, Call::kFree, 64)},
                   {make(2, 25, Call::kMalloc, 64)}},
                  &oddities),
            "1+64 1-64 2+64");
  EXPECT_EQ(oddities.missed_releases, 0u);
}

TEST(Merge, NobodyWaitsForEver) {
  Oddities oddities;
  const uint64_t later = 2 * Merge::kPatienceNs;
  EXPECT_EQ(order({{make(1, 10, Call::kFree, 64), make(1, 20, Call::kMalloc, 8)},
                   {make(2, 15, Call::kMalloc, 16), make(2, later, Call::kMalloc, 64)}},
                  &oddities),
            "2+16 1?64 1+8 2+64");
  EXPECT_EQ(oddities.unknown_releases, 1u);
}

TEST(Merge, ALostReleaseIsMadeUp) {
  Oddities oddities;
  EXPECT_EQ(order({{make(1, 10, Call::kMalloc, 64), make(1, 20, Call::kMalloc, 64)}}, &oddities),
            "1+64 1x64 1+64");
  EXPECT_EQ(oddities.missed_releases, 1u);
}

TEST(Merge, TwoThatWaitForEachOtherGoOn) {
  Oddities oddities;
  EXPECT_EQ(order({{make(1, 10, Call::kFree, 64), make(1, 20, Call::kMalloc, 128)},
                   {make(2, 11, Call::kFree, 128), make(2, 20, Call::kMalloc, 64)}},
                  &oddities),
            "1?64 1+128 2-128 2+64");
}

TEST(Merge, TheHalvesOfAReallocKnowEachOther) {
  Merge merge;
  merge.add(std::make_unique<VectorStream>(
      std::vector<Event>{make(1, 10, Call::kMalloc, 64, 30), make(1, 20, Call::kRealloc, 64, 100),
                         make(1, 40, Call::kReallocDone, 256, 0)}));
  // It is given the old address in between.
  merge.add(std::make_unique<VectorStream>(std::vector<Event>{make(2, 30, Call::kMalloc, 64, 31)}));
  const uint32_t slot = merge.next()->slot;
  EXPECT_EQ(merge.next()->call, Call::kRealloc);
  EXPECT_NE(merge.next()->slot, slot);
  const Event* const done = merge.next();
  EXPECT_EQ(done->old_pointer, 64u);
  EXPECT_EQ(done->size, 100u);
  EXPECT_EQ(done->usable, 100u);
  EXPECT_TRUE(done->gone.is_known);
  EXPECT_EQ(done->gone.size, 30u);
  EXPECT_EQ(done->gone.slot, slot);
  EXPECT_EQ(done->slot, slot);
  EXPECT_EQ(merge.next(), nullptr);
}

TEST(Merge, AFailedReallocLeavesTheBlock) {
  Merge merge;
  merge.add(std::make_unique<VectorStream>(
      std::vector<Event>{make(1, 10, Call::kMalloc, 64, 30), make(1, 20, Call::kRealloc, 64, 1000),
                         make(1, 40, Call::kReallocDone, 0, 0), make(1, 50, Call::kFree, 64)}));
  merge.next();
  merge.next();
  EXPECT_FALSE(merge.next()->gone.is_known);
  const Event* const last = merge.next();
  EXPECT_TRUE(last->gone.is_known);
  EXPECT_EQ(last->gone.size, 30u);
}

TEST(Merge, ABlockThatIsMovingAtTheEndIsLive) {
  Merge merge;
  merge.add(std::make_unique<VectorStream>(std::vector<Event>{
      make(1, 10, Call::kMalloc, 64, 30), make(1, 20, Call::kRealloc, 64, 1000)}));
  while (merge.next() != nullptr) {
  }
  EXPECT_EQ(merge.live().blocks(), 1u);
}

// The clocks of the threads are apart by a step; nothing is unknown or missed.
TEST(Merge, RandomHistoriesWithSkewedClocks) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    HistoryMaker maker({.seed = seed,
                        .threads = static_cast<uint32_t>(2 + seed % 7),
                        .most_live = 50 + seed * 7 % 200,
                        .foreign_percent = 50});
    std::map<uint32_t, std::vector<Event>> threads;
    std::map<uint32_t, int64_t> skew;
    std::mt19937_64 random(seed);
    const auto put = [&](const Happening& happening) {
      const uint32_t thread = happening.thread;
      if (!skew.contains(thread)) {
        skew[thread] = static_cast<int64_t>(random() % 25);
      }
      Event event = event_of(happening);
      event.time_ns += static_cast<uint64_t>(skew[thread]);
      threads[thread].push_back(event);
    };
    for (int i = 0; i < 5'000; ++i) maker.step(put);
    Merge merge;
    for (auto& [number, events] : threads) {
      merge.add(std::make_unique<VectorStream>(std::move(events)));
    }
    uint64_t live_bytes = 0;
    uint64_t allocated_bytes = 0;
    while (const Event* event = merge.next()) {
      if (event->gone.is_known && event->call != Call::kRealloc) live_bytes -= event->gone.size;
      if (!came(*event)) continue;
      live_bytes += event->size;
      allocated_bytes += event->size;
    }
    ASSERT_EQ(merge.oddities().unknown_releases, 0u) << "seed " << seed;
    ASSERT_EQ(merge.oddities().missed_releases, 0u) << "seed " << seed;
    ASSERT_EQ(live_bytes, maker.count().live_bytes) << "seed " << seed;
    ASSERT_EQ(allocated_bytes, maker.count().allocated_bytes) << "seed " << seed;
    ASSERT_EQ(merge.live().blocks(), maker.count().live_blocks) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tide::trace
