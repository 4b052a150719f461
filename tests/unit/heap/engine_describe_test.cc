// What messages about bad pointers say rests on describe().
#include <gtest/gtest.h>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

using Kind = heap::PointerInfo::Kind;

TEST(EngineDescribe, LiveInsideAndFree) {
  StartedBox box;
  for (const size_t bytes : {16u, 100u, 1000u, 2000u, 65'536u, 100'000u, 3'000'000u, 40'000'000u}) {
    auto* block = static_cast<char*>(box.client.allocate(bytes));
    const size_t usable = box.engine->usable_bytes(block);
    heap::PointerInfo info = box.engine->describe(block);
    EXPECT_EQ(info.kind, Kind::kLive) << bytes;
    EXPECT_TRUE(info.live);
    EXPECT_EQ(info.block, base::address_of(block));
    EXPECT_EQ(info.block_bytes, usable);
    EXPECT_EQ(info.size_class, bytes <= layout::kMidMaxBytes ? layout::class_of(bytes) : 0u);
    for (const size_t offset : {size_t{1}, size_t{8}, usable / 2, usable - 1}) {
      info = box.engine->describe(block + offset);
      EXPECT_EQ(info.kind, Kind::kInside) << bytes << " + " << offset;
      EXPECT_TRUE(info.live);
      EXPECT_EQ(info.block, base::address_of(block));
      EXPECT_EQ(info.block_bytes, usable);
    }
    box.client.release(block);
    info = box.engine->describe(block);
    EXPECT_NE(info.kind, Kind::kLive) << bytes;
    if (bytes < 40'000'000) {
      EXPECT_EQ(info.kind, Kind::kFree) << bytes;
    }
    if (layout::class_of(bytes) != 0) {
      EXPECT_EQ(info.block_bytes, usable);
      EXPECT_EQ(box.engine->describe(block + 1).kind, Kind::kInside);
      EXPECT_FALSE(box.engine->describe(block + 1).live);
    }
  }
}

TEST(EngineDescribe, MemoryThatIsNoBlock) {
  StartedBox box;
  for (int i = 0; i < 100; ++i) ASSERT_NE(box.client.allocate(1024), nullptr);  // more slabs
  auto* block = static_cast<char*>(box.client.allocate(100));
  const uintptr_t slab = base::align_down(base::address_of(block), 64 << 10);
  EXPECT_EQ(box.engine->describe(reinterpret_cast<void*>(slab + (64 << 10) - 16)).kind,
            Kind::kUnused);
  EXPECT_EQ(box.engine->describe(reinterpret_cast<void*>(slab + (128 << 10))).kind, Kind::kUnused)
      << "a slab without a class";
  int local = 0;
  EXPECT_EQ(box.engine->describe(&local).kind, Kind::kForeign);
  EXPECT_EQ(box.engine->describe(nullptr).kind, Kind::kForeign);
}

TEST(EngineDescribe, BlocksOfHeaps) {
  StartedBox box;
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  auto* block = static_cast<char*>(box.engine->heap_allocate(heap, 500, 0, false));
  EXPECT_EQ(box.engine->describe(block).kind, Kind::kLive);
  EXPECT_EQ(box.engine->describe(block + 4).kind, Kind::kInside);
  box.client.release(block);
  EXPECT_EQ(box.engine->describe(block).kind, Kind::kFree);
}

}  // namespace
}  // namespace tide::tests
