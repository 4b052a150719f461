#include "heap/depot.h"

#include <gtest/gtest.h>
#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace tide::heap {
namespace {

struct OwnDepot {
  Depot::Word word{0};
  Depot::Batches batches;
  Depot depot{word, batches};

  Depot* operator->() { return &depot; }
};

void* block(uintptr_t number) { return reinterpret_cast<void*>(number * 16); }

TEST(Depot, GivesBackWhatWasPut) {
  auto depot = std::make_unique<OwnDepot>();
  void* out[layout::kMaxBatch];
  EXPECT_EQ((*depot)->take(out), 0u);
  void* in[3] = {block(1), block(2), block(3)};
  ASSERT_TRUE((*depot)->put(in, 3, {Depot::kSlots}));
  EXPECT_EQ((*depot)->count(), 3u);
  ASSERT_EQ((*depot)->take(out), 3u);
  EXPECT_TRUE(std::equal(in, in + 3, out));
  EXPECT_EQ((*depot)->take(out), 0u);
  EXPECT_EQ((*depot)->count(), 0u);
}

TEST(Depot, GivesAPartOfABatchAndKeepsTheRest) {
  auto depot = std::make_unique<OwnDepot>();
  void* in[5] = {block(1), block(2), block(3), block(4), block(5)};
  ASSERT_TRUE((*depot)->put(in, 5, {1}));
  void* out[layout::kMaxBatch];
  ASSERT_EQ((*depot)->take(out, 2), 2u);
  EXPECT_TRUE(std::equal(in + 3, in + 5, out)) << "those put last";
  EXPECT_EQ((*depot)->count(), 3u);
  EXPECT_TRUE((*depot)->put(in + 3, 2, {1})) << "they join the batch";
  ASSERT_EQ((*depot)->take(out, 3), 3u);
  EXPECT_TRUE(std::equal(in + 2, in + 5, out));
  EXPECT_EQ((*depot)->count(), 2u);
  ASSERT_EQ((*depot)->take(out, 3), 2u);
  EXPECT_TRUE(std::equal(in, in + 2, out));
  EXPECT_TRUE((*depot)->put(in, 1, {1}));
}

// A batch of blocks of 64 KiB is eight; that many shall lie in a slot, not eight times as many.
TEST(Depot, BatchesJoinToABound) {
  auto depot = std::make_unique<OwnDepot>();
  void* in[3] = {block(1), block(2), block(3)};
  const Depot::Bound bound{2, 8};
  for (int i = 0; i < 4; ++i) ASSERT_TRUE((*depot)->put(in, 3, bound)) << i;
  EXPECT_FALSE((*depot)->has_room(3, bound));
  EXPECT_FALSE((*depot)->put(in, 3, bound));
  EXPECT_EQ((*depot)->count(), 12u);
}

TEST(Depot, ShortBatchesShareASlot) {
  auto depot = std::make_unique<OwnDepot>();
  void* in[3] = {block(1), block(2), block(3)};
  for (uint32_t count = 0; count + 3 <= layout::kMaxBatch; count += 3) {
    ASSERT_TRUE((*depot)->has_room(3, {1})) << count;
    ASSERT_TRUE((*depot)->put(in, 3, {1})) << count;
  }
  EXPECT_FALSE((*depot)->has_room(3, {1}));
  EXPECT_FALSE((*depot)->put(in, 3, {1}));
  EXPECT_TRUE((*depot)->put(in, layout::kMaxBatch % 3, {1})) << "what is left of the slot";
  void* out[layout::kMaxBatch];
  EXPECT_EQ((*depot)->take(out), layout::kMaxBatch);
  EXPECT_EQ((*depot)->count(), 0u);
}

TEST(Depot, HoldsAsManyBatchesAsItsSlots) {
  for (uint32_t slots = 1; slots <= Depot::kSlots; ++slots) {
    auto depot = std::make_unique<OwnDepot>();
    void* in[layout::kMaxBatch] = {};
    for (uint32_t i = 0; i < slots; ++i) {
      EXPECT_TRUE((*depot)->put(in, layout::kMaxBatch, {slots})) << slots;
    }
    EXPECT_FALSE((*depot)->put(in, 1, {slots}));
    EXPECT_EQ((*depot)->count(), slots * layout::kMaxBatch);
    void* out[layout::kMaxBatch];
    for (uint32_t i = 0; i < slots; ++i) EXPECT_EQ((*depot)->take(out), layout::kMaxBatch);
    EXPECT_EQ((*depot)->take(out), 0u);
  }
}

// Each thread puts blocks of its own numbers and takes what it finds; at the end every number is
// there exactly once.
TEST(Depot, ConcurrentlyNothingIsLostOrDoubled) {
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kBatches = 20'000;
  auto depot = std::make_unique<OwnDepot>();
  std::vector<std::vector<void*>> taken(kThreads);
  std::vector<std::vector<void*>> refused(kThreads);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      void* out[layout::kMaxBatch];
      for (uint32_t i = 0; i < kBatches; ++i) {
        const uint32_t size = 1 + i % 7;
        void* in[7];
        for (uint32_t j = 0; j < size; ++j) in[j] = block(1 + (t * kBatches + i) * 7 + j);
        if (!(*depot)->put(in, size, {1 + (t + i) % Depot::kSlots})) {
          refused[t].insert(refused[t].end(), in, in + size);
        }
        const uint32_t count = (*depot)->take(out, i % 3 == 0 ? 3 : layout::kMaxBatch);
        taken[t].insert(taken[t].end(), out, out + count);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  void* out[layout::kMaxBatch];
  while (const uint32_t count = (*depot)->take(out))
    taken[0].insert(taken[0].end(), out, out + count);
  std::set<void*> seen;
  size_t total = 0;
  for (uint32_t t = 0; t < kThreads; ++t) {
    for (const auto* list : {&taken[t], &refused[t]}) {
      seen.insert(list->begin(), list->end());
      total += list->size();
    }
  }
  size_t put = 0;
  for (uint32_t i = 0; i < kBatches; ++i) put += 1 + i % 7;
  EXPECT_EQ(total, put * kThreads);
  EXPECT_EQ(seen.size(), total);
}

TEST(Depot, ClaimsOfVanishedThreadsAreDropped) {
  // What take() leaves behind when its thread vanishes right after the claim can't be made with the
  // public functions; dropping without claims must change nothing.
  auto depot = std::make_unique<OwnDepot>();
  void* in[2] = {block(1), block(2)};
  ASSERT_TRUE((*depot)->put(in, 2, {8}));
  (*depot)->drop_claims();
  void* out[layout::kMaxBatch];
  EXPECT_EQ((*depot)->take(out), 2u);
}

}  // namespace
}  // namespace tide::heap
