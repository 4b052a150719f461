// Starting an engine, and what its functions do before that.
#include <gtest/gtest.h>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

TEST(EngineStart, BeforeTheStartThereIsNothing) {
  EngineBox box;
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.mapped_bytes, 0u);
  EXPECT_EQ(stats.live_blocks, 0u);
  box.engine->verify();
  EXPECT_EQ(box.engine->purge(nullptr), 0u);
  EXPECT_TRUE(
      box.engine->visit_blocks([](const heap::BlockInfo&, void*) { return false; }, nullptr));
  int local = 0;
  EXPECT_EQ(box.engine->usable_bytes(&local), 0u);
  EXPECT_EQ(box.engine->release_slow(nullptr, &local), heap::Released::kForeign);
  EXPECT_EQ(box.engine->describe(&local).kind, heap::PointerInfo::Kind::kForeign);
}

TEST(EngineStart, TakesLittleMemory) {
  EngineBox box;
  ASSERT_TRUE(box.start());
  EXPECT_LE(box.os.mapped_bytes(), size_t{512} << 10);
  EXPECT_TRUE(box.start()) << "again is harmless";
}

TEST(EngineStart, OnTheRealAddressPlan) {
  EngineBox box({.address_bits = 47, .seed = 0xfedcba987654321});
  ASSERT_TRUE(box.start());
  Client client(*box.engine);
  for (const size_t bytes : {16u, 2000u, 100'000u, 50'000'000u}) {
    void* const block = client.allocate(bytes);
    ASSERT_NE(block, nullptr);
    memset(block, 1, bytes);
    EXPECT_GE(base::address_of(block), uintptr_t{1} << 32);
    EXPECT_EQ(client.release(block), heap::Released::kDone);
  }
  box.engine->verify();
}

// The first place, or a part of it, belongs to somebody else.
TEST(EngineStart, AnotherPlaceWhenTheFirstIsTaken) {
  for (uint64_t first = 1; first <= 6; ++first) {
    EngineBox box;
    box.os.take_calls(first, 1 + first % 2);
    ASSERT_TRUE(box.start()) << first;
    Client client(*box.engine);
    void* const small = client.allocate(100);
    void* const mid = client.allocate(10'000);
    void* const large = client.allocate(1'000'000);
    ASSERT_TRUE(small != nullptr && mid != nullptr && large != nullptr);
    memset(small, 1, 100);
    memset(mid, 1, 10'000);
    memset(large, 1, 1'000'000);
    EXPECT_EQ(client.release(small), heap::Released::kDone);
    EXPECT_EQ(client.release(mid), heap::Released::kDone);
    EXPECT_EQ(client.release(large), heap::Released::kDone);
    box.engine->verify();
  }
}

// As sanitizers and runtimes with heaps of their own have it: a reservation as long as all windows,
// over some of them.
TEST(EngineStart, AnotherPlaceWhenAReservationCoversSomeOfIt) {
  for (int windows = -3; windows <= 3; ++windows) {
    EngineBox box;
    heap::AddressPlan plan;
    ASSERT_TRUE(heap::plan_addresses(box.engine->space().vm, 0, plan));
    const uintptr_t covered = plan.base + static_cast<uintptr_t>(windows) * plan.window_bytes;
    box.os.take_place(covered, 4 * plan.window_bytes);
    ASSERT_TRUE(box.start()) << windows;
    Client client(*box.engine);
    for (const size_t bytes : {100u, 10'000u, 1'000'000u}) {
      EXPECT_NE(client.allocate(bytes), nullptr) << windows << ", " << bytes << " bytes";
    }
    box.engine->verify();
  }
}

TEST(EngineStart, NoMemoryNowMayBeMemoryLater) {
  for (const VmCall call : {VmCall::kMapAt, VmCall::kFindFree}) {
    EngineBox box;
    box.os.fail_kind(call);
    EXPECT_FALSE(box.start());
    EXPECT_FALSE(box.engine->started());
    box.os.heal();
    ASSERT_TRUE(box.start()) << name_of(call);
    Client client(*box.engine);
    void* const block = client.allocate(100);
    ASSERT_NE(block, nullptr);
    memset(block, 1, 100);
    box.engine->verify();
  }
}

TEST(EngineStart, ThresholdAboveTheLargeZoneIsCutDown) {
  EngineBox box;
  heap::Config config = heap::Config::defaults();
  config.huge_threshold_bytes = SIZE_MAX;
  ASSERT_TRUE(box.start(config));
  EXPECT_EQ(box.engine->config().huge_threshold_bytes, layout::kLargeMaxBytes);
}

}  // namespace
}  // namespace tide::tests
