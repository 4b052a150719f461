// Statistics and the visit of all blocks agree with what a program holds.
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"

namespace tide::tests {
namespace {

using Seen = std::map<void*, heap::BlockInfo>;

Seen visit_all(FakeEngine& engine) {
  Seen seen;
  EXPECT_TRUE(engine.visit_blocks(
      [](const heap::BlockInfo& info, void* argument) {
        EXPECT_TRUE(static_cast<Seen*>(argument)->insert({info.address, info}).second);
        return true;
      },
      &seen));
  return seen;
}

class EngineSurvey : public testing::Test {
 protected:
  void hold(size_t bytes, FakeHeap* heap = nullptr) {
    void* const block = heap == nullptr ? box.client.allocate(bytes)
                                        : box.engine->heap_allocate(heap, bytes, 0, false);
    ASSERT_NE(block, nullptr);
    held[block] = box.engine->usable_bytes(block);
  }
  void drop(void* block) {
    ASSERT_EQ(box.client.release(block), heap::Released::kDone);
    held.erase(block);
  }

  void check() {
    const Seen seen = visit_all(*box.engine);
    ASSERT_EQ(seen.size(), held.size());
    uint64_t bytes = 0;
    uint64_t per_class[layout::kClassCount] = {};
    for (const auto& [block, usable] : held) {
      const auto it = seen.find(block);
      ASSERT_TRUE(it != seen.end());
      EXPECT_EQ(it->second.usable_bytes, usable);
      if (it->second.size_class != 0) {
        EXPECT_EQ(layout::class_bytes(it->second.size_class), usable);
      }
      ++per_class[it->second.size_class];
      bytes += usable;
    }
    const heap::Stats stats = stats_of(*box.engine);
    EXPECT_EQ(stats.live_blocks, held.size());
    EXPECT_EQ(stats.live_bytes, bytes);
    EXPECT_EQ(stats.large_live_blocks + stats.huge_live_blocks, per_class[0]);
    for (uint32_t c = 1; c < layout::kClassCount; ++c) {
      EXPECT_EQ(stats.classes[c].live_blocks, per_class[c]) << c;
      EXPECT_EQ(stats.classes[c].block_bytes, layout::class_bytes(c));
      const uint64_t capacity = stats.classes[c].live_blocks + stats.classes[c].cached_blocks +
                                stats.classes[c].free_blocks;
      const uint64_t room = uint64_t{stats.classes[c].slabs} * layout::blocks_per_slab(c);
      EXPECT_LE(capacity, room);
      EXPECT_GE(capacity, room - room / 16) << "but for what slabs pass over";
    }
    EXPECT_EQ(stats.mapped_bytes, box.os.mapped_bytes());
    EXPECT_LE(stats.live_bytes + stats.cached_bytes + stats.free_dirty_bytes + stats.metadata_bytes,
              stats.mapped_bytes);
  }

  StartedBox box;
  std::map<void*, size_t> held;
};

TEST_F(EngineSurvey, AgreesWithWhatIsHeld) {
  std::mt19937 random(6);
  check();
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  for (int step = 0; step < 4000; ++step) {
    if (held.empty() || random() % 5 < 3) {
      const unsigned kind = random() % 200;
      const size_t bytes = kind == 0   ? 33'000'000 + random() % 3'000'000
                           : kind < 10 ? 70'000 + random() % 500'000
                                       : random() % (kind < 100 ? 300 : 30'000);
      hold(bytes, random() % 4 == 0 ? heap : nullptr);
    } else {
      auto victim =
          held.lower_bound(reinterpret_cast<void*>((uintptr_t{random()} << 32 | random()) >> 17));
      drop(victim == held.end() ? held.begin()->first : victim->first);
    }
    if (step % 1000 == 999) check();
    if (step % 1700 == 0) box.client.purge();
  }
  check();
  EXPECT_EQ(stats_of(*box.engine).heaps, 1u);
  uint32_t in_heap = 0;
  for (const auto& [block, info] : visit_all(*box.engine)) {
    EXPECT_EQ(info.heap_id != 0, box.engine->heap_of(block) == heap);
    if (info.heap_id != 0) ++in_heap;
  }
  EXPECT_EQ(in_heap, box.engine->heap_use(heap).live_blocks);
  while (!held.empty()) drop(held.begin()->first);
  check();
}

TEST_F(EngineSurvey, VisitStopsWhenToldTo) {
  for (const size_t bytes : {10u, 5000u, 100'000u, 40'000'000u}) hold(bytes);
  for (int stop_after = 1; stop_after <= 4; ++stop_after) {
    struct State {
      int left;
      int calls;
    } state{stop_after, 0};
    EXPECT_FALSE(box.engine->visit_blocks(
        [](const heap::BlockInfo&, void* argument) {
          auto& s = *static_cast<State*>(argument);
          ++s.calls;
          return --s.left != 0;
        },
        &state));
    EXPECT_EQ(state.calls, stop_after);
  }
}

TEST_F(EngineSurvey, CachedBytesHaveTheirThreads) {
  std::vector<heap::ThreadStats> caches;
  const auto visit = [&] {
    caches.clear();
    box.engine->visit_caches(
        [](const heap::ThreadStats& stats, void* argument) {
          static_cast<std::vector<heap::ThreadStats>*>(argument)->push_back(stats);
        },
        &caches);
  };
  Client other(*box.engine);
  void* const small = other.allocate(1000);
  void* const span = other.allocate(100'000);
  other.release(small);
  other.release(span);
  visit();
  ASSERT_EQ(caches.size(), 2u);
  EXPECT_EQ(caches[0].state, layout::CacheState::kOwned);
  EXPECT_GE(caches[0].cached_bytes, 100'000u + 1000u);
  EXPECT_GE(caches[0].cached_blocks, 2u);
  EXPECT_EQ(caches[1].cached_bytes, 0u);
  EXPECT_EQ(caches[0].cached_bytes, stats_of(*box.engine).cached_bytes) << "nothing is in depots";
  other.park();
  visit();
  EXPECT_EQ(caches[0].state, layout::CacheState::kParked);
}

TEST_F(EngineSurvey, PurgeIsCounted) {
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) {
    blocks.push_back(box.client.allocate(1000));
    memset(blocks.back(), 1, 1000);
  }
  void* const pin = box.client.allocate(1000);
  for (void* block : blocks) box.client.release(block);
  const heap::Stats before = stats_of(*box.engine);
  EXPECT_GT(before.free_dirty_bytes + before.cached_bytes, size_t{900'000});
  const size_t said = box.client.purge();
  const heap::Stats after = stats_of(*box.engine);
  EXPECT_EQ(after.purged_bytes, said);
  EXPECT_LT(after.free_dirty_bytes, size_t{100'000}) << "what was given back is not dirty";
  EXPECT_GT(after.returned_bytes, before.returned_bytes);
  box.client.release(pin);
}

}  // namespace
}  // namespace tide::tests
