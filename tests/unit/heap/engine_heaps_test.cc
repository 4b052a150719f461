// First-class heaps: limits, plain free from anywhere, everything gone at destruction.
#include <gtest/gtest.h>
#include <unistd.h>
#include <algorithm>
#include <thread>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

using heap::Released;

// As malloc does: where the zone of a size can't grow, blocks come from elsewhere.
TEST(EngineHeaps, GoOnWhereAZoneCannotGrow) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  ASSERT_NE(heap, nullptr);
  box.os.fail_kind(VmCall::kMapAt);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) {
    auto* const block = static_cast<char*>(box.engine->heap_allocate(heap, 60'000, 0, true));
    ASSERT_NE(block, nullptr) << i;
    for (size_t at = 0; at < 60'000; at += 500) ASSERT_EQ(block[at], 0);
    memset(block, 1, 60'000);
    EXPECT_EQ(box.engine->heap_of(block), heap);
    blocks.push_back(block);
  }
  EXPECT_EQ(box.engine->heap_use(heap).live_blocks, blocks.size());
  for (size_t i = 0; i < blocks.size(); i += 2) {
    ASSERT_EQ(box.client.release(blocks[i]), Released::kDone);
  }
  EXPECT_EQ(box.engine->heap_use(heap).live_blocks, blocks.size() / 2);
  box.engine->heap_destroy(heap);
  box.engine->verify();
}

TEST(EngineHeaps, BlocksOfAllSizesAndPlainFree) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  ASSERT_NE(heap, nullptr);
  size_t bytes_held = 0;
  std::vector<void*> blocks;
  for (size_t bytes = 0; bytes < (size_t{80} << 20); bytes += bytes / 2 + 1) {
    auto* block = static_cast<char*>(box.engine->heap_allocate(heap, bytes, 0, true));
    ASSERT_NE(block, nullptr) << bytes;
    const size_t usable = box.engine->usable_bytes(block);
    ASSERT_GE(usable, bytes);
    for (size_t i = 0; i < bytes; i += 1 + bytes / 100) ASSERT_EQ(block[i], 0);
    block[0] = 1;
    block[usable - 1] = 1;
    EXPECT_EQ(box.engine->heap_of(block), heap);
    bytes_held += usable;
    blocks.push_back(block);
    EXPECT_EQ(box.engine->heap_use(heap).live_bytes, bytes_held);
    EXPECT_EQ(box.engine->heap_use(heap).live_blocks, blocks.size());
  }
  box.engine->verify();
  Client other(*box.engine);
  for (size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ((i % 2 == 0 ? box.client : other).release(blocks[i]), Released::kDone);
    ASSERT_NE(box.client.release(blocks[i]), Released::kDone);
  }
  EXPECT_EQ(box.engine->heap_use(heap).live_bytes, 0u);
  EXPECT_EQ(box.engine->heap_use(heap).live_blocks, 0u);
  box.engine->heap_destroy(heap);
  box.engine->verify();
}

// While pages are given back that are not a heap's, or are another heap's, heaps come and go.
TEST(EngineHeaps, NoHeapWaitsForAPurgeOfWhatIsNotAHeaps) {
  StartedBox box;
  FakeHeap* const other = box.engine->heap_create(SIZE_MAX);
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; ++i) {
    blocks.push_back(box.client.allocate(3000));
    memset(blocks.back(), 1, 3000);
  }
  // Its slabs lie behind the others, so that these are on their way when it is the heap's turn.
  for (int i = 0; i < 2000; ++i) blocks.push_back(box.engine->heap_allocate(other, 3000, 0, true));
  const uintptr_t first_of_heap = base::address_of(blocks[2000]);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 8 != 0) box.client.release(blocks[i]);
  }
  int calls = 0;
  box.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge || event.address >= first_of_heap) return;
    ++calls;
    FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
    EXPECT_NE(box.engine->heap_allocate(heap, 100, 0, false), nullptr);
    box.engine->heap_destroy(heap);
  });
  alarm(100);  // a lock that stays locked
  EXPECT_GT(box.client.purge(), 0u);
  alarm(0);
  box.os.set_hook(nullptr);
  EXPECT_GT(calls, 0);
  box.engine->heap_destroy(other);
  box.engine->verify();
}

TEST(EngineHeaps, Alignments) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  for (size_t alignment = 1; alignment <= (size_t{64} << 20); alignment *= 2) {
    for (const size_t bytes : {1u, 100u, 70'000u}) {
      void* const block = box.engine->heap_allocate(heap, bytes, alignment, false);
      ASSERT_NE(block, nullptr);
      ASSERT_EQ(base::address_of(block) % alignment, 0u);
      ASSERT_EQ(box.client.release(block), Released::kDone);
    }
  }
  EXPECT_EQ(box.engine->heap_use(heap).live_bytes, 0u);
}

TEST(EngineHeaps, LimitHolds) {
  StartedBox box;
  constexpr size_t kLimit = 1'000'000;
  FakeHeap* const heap = box.engine->heap_create(kLimit);
  EXPECT_EQ(box.engine->heap_use(heap).limit_bytes, kLimit);
  for (const size_t bytes : {64u, 3000u, 100'000u}) {
    std::vector<void*> blocks;
    while (void* const block = box.engine->heap_allocate(heap, bytes, 0, false)) {
      blocks.push_back(block);
      ASSERT_LE(box.engine->heap_use(heap).live_bytes, kLimit);
    }
    EXPECT_GT(box.engine->heap_use(heap).live_bytes, kLimit - 2 * bytes);
    // Growing a block must not pass it either.
    void* const grown = box.client.reallocate(blocks[0], kLimit);
    EXPECT_EQ(grown, nullptr);
    EXPECT_LE(box.engine->heap_use(heap).live_bytes, kLimit);
    for (void* block : blocks) ASSERT_EQ(box.client.release(block), Released::kDone);
    EXPECT_EQ(box.engine->heap_use(heap).live_bytes, 0u);
  }
  EXPECT_EQ(box.engine->heap_allocate(heap, kLimit + 1, 0, false), nullptr);
  EXPECT_EQ(box.engine->heap_allocate(heap, SIZE_MAX, 0, false), nullptr);
  EXPECT_EQ(box.engine->heap_use(heap).live_blocks, 0u);
  box.engine->heap_set_limit(heap, SIZE_MAX);
  EXPECT_NE(box.engine->heap_allocate(heap, kLimit + 1, 0, false), nullptr);
}

TEST(EngineHeaps, ReallocStaysInItsHeap) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  auto* block = static_cast<char*>(box.engine->heap_allocate(heap, 10, 0, false));
  block[0] = 9;
  for (size_t bytes = 20; bytes < (size_t{100} << 20); bytes = bytes * 3 + 1) {
    block = static_cast<char*>(box.client.reallocate(block, bytes));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block[0], 9);
    EXPECT_EQ(box.engine->heap_of(block), heap) << bytes;
    EXPECT_EQ(box.engine->heap_use(heap).live_bytes, box.engine->usable_bytes(block)) << bytes;
    EXPECT_EQ(box.engine->heap_use(heap).live_blocks, 1u);
  }
  for (size_t bytes = size_t{90} << 20; bytes != 0; bytes /= 5) {
    block = static_cast<char*>(box.client.reallocate(block, bytes));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block[0], 9);
    EXPECT_EQ(box.engine->heap_of(block), heap) << bytes;
    EXPECT_EQ(box.engine->heap_use(heap).live_bytes, box.engine->usable_bytes(block)) << bytes;
  }
}

TEST(EngineHeaps, DestructionFreesEverythingAtOnce) {
  StartedBox box;
  std::vector<void*> ours;
  for (int round = 0; round < 5; ++round) {
    FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
    std::vector<void*> blocks;
    for (int i = 0; i < 3000; ++i) {
      const size_t bytes = i % 500 == 0 ? size_t{200'000} : static_cast<size_t>(i * 37 % 9000);
      blocks.push_back(box.engine->heap_allocate(heap, bytes, 0, false));
      ASSERT_NE(blocks.back(), nullptr);
      memset(blocks.back(), 0xee, bytes);
      if (i % 10 == 0) {
        ours.push_back(box.client.allocate(bytes + 1));
        *static_cast<char*>(ours.back()) = 0x33;
      }
    }
    blocks.push_back(box.engine->heap_allocate(heap, size_t{40} << 20, 0, false));
    box.engine->heap_destroy(heap);
    box.engine->verify();
    for (void* block : blocks) ASSERT_EQ(box.engine->usable_bytes(block), 0u);
  }
  for (void* block : ours) {
    ASSERT_EQ(*static_cast<char*>(block), 0x33);
    ASSERT_EQ(box.client.release(block), Released::kDone);
  }
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.live_blocks, 0u);
  EXPECT_EQ(stats.heaps, 0u);
}

TEST(EngineHeaps, MemoryOfDestroyedHeapsIsUsedAgain) {
  StartedBox box;
  size_t mapped = 0;
  for (int round = 0; round < 30; ++round) {
    FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
    for (int i = 0; i < 2000; ++i) {
      void* const block = box.engine->heap_allocate(heap, 100 + i % 2000, 0, true);
      ASSERT_NE(block, nullptr);
      ASSERT_EQ(*static_cast<char*>(block), 0) << "zeroed although dirty";
      memset(block, 0xff, 100);
    }
    box.engine->heap_destroy(heap);
    if (round == 2) mapped = box.os.mapped_bytes();
  }
  EXPECT_EQ(box.os.mapped_bytes(), mapped);
}

TEST(EngineHeaps, WithoutMemory) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  box.os.fail_kind(VmCall::kMapAt);
  box.os.fail_kind(VmCall::kMap);
  while (box.engine->heap_allocate(heap, 1000, 0, false) != nullptr) {
  }
  const heap::HeapUse use = box.engine->heap_use(heap);
  EXPECT_EQ(box.engine->heap_allocate(heap, 50'000'000, 0, false), nullptr);
  EXPECT_EQ(box.engine->heap_use(heap).live_bytes, use.live_bytes);
  FakeHeap* last = heap;
  for (int i = 0; i < 1000 && last != nullptr; ++i) last = box.engine->heap_create(SIZE_MAX);
  EXPECT_EQ(last, nullptr);
  box.os.heal();
  EXPECT_NE(box.engine->heap_allocate(heap, 1000, 0, false), nullptr);
  EXPECT_NE(box.engine->heap_create(SIZE_MAX), nullptr);
  box.engine->verify();
}

// While one thread is between taking a heap's free blocks and giving their pages back, another one
// destroys the heap and uses its slabs for something else.
TEST(EngineHeaps, DestroyedInTheMiddleOfAPurge) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  std::vector<void*> blocks;
  for (int i = 0; i < 60; ++i) blocks.push_back(box.engine->heap_allocate(heap, 1024, 0, false));
  for (void* block : blocks) memset(block, 1, 1024);
  for (size_t i = 10; i < 50; ++i) box.client.release(blocks[i]);
  std::vector<unsigned char*> live;
  std::thread destroyer;
  box.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge || destroyer.joinable()) return;
    destroyer = std::thread([&] {
      box.engine->heap_destroy(heap);
      Client other(*box.engine, false);
      for (int i = 0; i < 2000; ++i) {
        live.push_back(static_cast<unsigned char*>(other.allocate(512)));
        memset(live.back(), 0xcd, 512);
      }
    });
    usleep(100'000);  // it is done by then, or it waits for us
  });
  box.client.purge();
  ASSERT_TRUE(destroyer.joinable());
  destroyer.join();
  size_t damaged = 0;
  for (const unsigned char* block : live) {
    damaged += std::count(block, block + 512, 0xcd) != 512;
  }
  EXPECT_EQ(damaged, 0u) << "live blocks lost their contents";
  box.engine->verify();
}

}  // namespace
}  // namespace tide::tests
