// Single blocks through the engine: every size, every alignment, zeroed, resized, bad pointers.
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "tests/unit/engine_client.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

using heap::Released;
class EngineBlocks : public testing::TestWithParam<bool> {
 protected:
  EngineBlocks() : client(*box.engine, GetParam()) {}
  void SetUp() override { ASSERT_TRUE(box.started); }
  void TearDown() override { box.engine->verify(); }

  FakeEngine& engine() { return *box.engine; }

  StartedBox box;
  Client client;
};

// With a thread cache, and as a thread that has none.
INSTANTIATE_TEST_SUITE_P(Threads, EngineBlocks, testing::Bool());

TEST_P(EngineBlocks, EverySizeUpTo256KiB) {
  const size_t step = GetParam() ? 1 : 13;
  for (size_t bytes = 0; bytes <= layout::kMidMaxBytes + 4096; bytes += step) {
    void* const block = client.allocate(bytes);
    ASSERT_NE(block, nullptr);
    ASSERT_EQ(base::address_of(block) % 16, 0u);
    const size_t usable = engine().usable_bytes(block);
    ASSERT_GE(usable, bytes);
    if (const uint32_t c = layout::class_of(bytes)) {
      ASSERT_EQ(usable, layout::class_bytes(c));
    }
    const size_t part = bytes <= layout::kClassedMaxBytes ? 8 : layout::kLongLoss;
    ASSERT_LE(usable, bytes < 128 ? 128 : bytes + bytes / part + 4096);
    static_cast<char*>(block)[0] = 1;
    static_cast<char*>(block)[usable - 1] = 1;
    ASSERT_EQ(client.release(block), Released::kDone);
  }
}

TEST_P(EngineBlocks, LiveBlocksDoNotOverlap) {
  Ranges live;
  std::vector<void*> blocks;
  for (int round = 0; round < 3; ++round) {
    for (size_t bytes = 1; bytes < 3 * kMiB; bytes += bytes / 4 + 1) {
      void* const block = client.allocate(bytes);
      ASSERT_NE(block, nullptr);
      const uintptr_t begin = base::address_of(block);
      ASSERT_FALSE(live.overlaps(begin, begin + engine().usable_bytes(block)));
      live.add(begin, begin + engine().usable_bytes(block));
      blocks.push_back(block);
    }
  }
  for (void* block : blocks) ASSERT_EQ(client.release(block), Released::kDone);
}

TEST_P(EngineBlocks, EveryAlignmentWithManySizes) {
  for (size_t alignment = 1; alignment <= (size_t{1} << 30); alignment *= 2) {
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{15}, size_t{100}, size_t{1024},
                               size_t{5000}, size_t{65536}, size_t{70'000}, 2 * kMiB}) {
      void* const block = client.allocate_aligned(alignment, bytes);
      ASSERT_NE(block, nullptr) << alignment << " " << bytes;
      ASSERT_EQ(base::address_of(block) % alignment, 0u) << bytes;
      ASSERT_EQ(base::address_of(block) % 16, 0u);
      const size_t usable = engine().usable_bytes(block);
      ASSERT_GE(usable, bytes);
      if (usable != 0) static_cast<char*>(block)[usable - 1] = 1;
      ASSERT_EQ(client.release(block), Released::kDone);
    }
  }
}

TEST_P(EngineBlocks, ImpossibleSizesAreRefused) {
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 16, SIZE_MAX - 4096, size_t{PTRDIFF_MAX},
                             size_t{PTRDIFF_MAX} + 1, size_t{1} << 62}) {
    EXPECT_EQ(client.allocate(bytes), nullptr);
    EXPECT_EQ(client.allocate_zeroed(bytes), nullptr);
    for (const size_t alignment : {size_t{16}, size_t{4096}, size_t{1} << 40, size_t{1} << 63}) {
      EXPECT_EQ(client.allocate_aligned(alignment, bytes), nullptr);
    }
    void* const block = client.allocate(100);
    EXPECT_EQ(client.reallocate(block, bytes), nullptr);
    EXPECT_EQ(client.release(block), Released::kDone);
  }
  EXPECT_EQ(client.allocate_aligned(size_t{1} << 63, 1), nullptr);
  EXPECT_EQ(client.allocate_aligned(size_t{1} << 47, 1), nullptr);
}

TEST_P(EngineBlocks, ZeroedAfterDirtyReuse) {
  for (const size_t bytes :
       {1u, 16u, 100u, 1024u, 1025u, 20'000u, 65'536u, 65'537u, 1'000'000u, 40'000'000u}) {
    for (int round = 0; round < 6; ++round) {
      auto* block = static_cast<unsigned char*>(client.allocate_zeroed(bytes));
      ASSERT_NE(block, nullptr);
      for (size_t i = 0; i<bytes; i += bytes> 100'000 ? 511 : 1) ASSERT_EQ(block[i], 0) << bytes;
      memset(block, 0xff, engine().usable_bytes(block));
      if (round == 2) client.purge();
      ASSERT_EQ(client.release(block), Released::kDone);
      if (round == 4) client.purge();
    }
  }
}

TEST_P(EngineBlocks, ReallocKeepsContentsAtEveryBoundary) {
  for (const size_t from : {1u, 16u, 17u, 128u, 1024u, 1025u, 4096u, 65'536u, 65'537u, 300'000u,
                            2'000'000u, 33'000'000u, 36'000'000u}) {
    for (const size_t to : {1u, 15u, 16u, 129u, 1024u, 1025u, 5000u, 65'536u, 65'537u, 100'000u,
                            1'500'000u, 5'000'000u, 33'600'000u, 34'000'000u, 50'000'000u}) {
      auto* block = static_cast<unsigned char*>(client.allocate(from));
      ASSERT_NE(block, nullptr);
      const size_t stride = from > 10'000 ? 1000 : 1;
      for (size_t i = 0; i < from; i += stride) block[i] = static_cast<unsigned char>(i / stride);
      auto* moved = static_cast<unsigned char*>(client.reallocate(block, to));
      ASSERT_NE(moved, nullptr) << from << " -> " << to;
      for (size_t i = 0; i < from && i < to; i += stride) {
        ASSERT_EQ(moved[i], static_cast<unsigned char>(i / stride)) << from << " -> " << to;
      }
      const size_t usable = engine().usable_bytes(moved);
      ASSERT_GE(usable, to);
      moved[usable - 1] = 1;
      ASSERT_EQ(client.release(moved), Released::kDone);
    }
  }
}

// As in the C library: a block that is made as large as it is already stays where it is.
TEST_P(EngineBlocks, ReallocToUsableSizeDoesNotMove) {
  for (size_t bytes = 1; bytes < 100 * kMiB; bytes += bytes / 2 + 1) {
    void* const block = client.allocate(bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(client.reallocate(block, engine().usable_bytes(block)), block) << bytes;
    ASSERT_EQ(client.release(block), Released::kDone);
  }
  for (size_t alignment = 32; alignment <= 64 * kMiB; alignment *= 2) {
    void* const block = client.allocate_aligned(alignment, 64);
    ASSERT_NE(block, nullptr);
    void* const same = client.reallocate(block, engine().usable_bytes(block));
    EXPECT_EQ(same, block) << "aligned to " << alignment;
    ASSERT_EQ(client.release(same), Released::kDone);
  }
}

TEST_P(EngineBlocks, DoubleFreeIsCertain) {
  for (size_t bytes = 1; bytes < 50 * kMiB; bytes += bytes / 2 + 1) {
    void* const block = client.allocate(bytes);
    ASSERT_EQ(client.release(block), Released::kDone);
    EXPECT_NE(client.release(block), Released::kDone) << bytes;
    EXPECT_EQ(engine().usable_bytes(block), 0u) << bytes;
    // And after calls for another class, which can't have been given the same address.
    if (bytes > layout::kMidMaxBytes / 3) continue;
    void* const other = client.allocate(bytes * 2 + 16);
    EXPECT_NE(client.release(block), Released::kDone) << bytes;
    ASSERT_EQ(client.release(other), Released::kDone);
  }
}

TEST_P(EngineBlocks, InteriorPointersAreBad) {
  for (size_t bytes = 32; bytes < 50 * kMiB; bytes += bytes / 2 + 1) {
    auto* block = static_cast<char*>(client.allocate(bytes));
    const size_t usable = engine().usable_bytes(block);
    for (const size_t offset : {size_t{1}, size_t{8}, size_t{16}, size_t{128}, size_t{4096},
                                usable / 2, usable - 16, usable - 1}) {
      if (offset >= usable) continue;
      EXPECT_EQ(client.release(block + offset), Released::kBad) << bytes << " + " << offset;
      EXPECT_EQ(engine().usable_bytes(block + offset), 0u);
    }
    ASSERT_EQ(client.release(block), Released::kDone);
  }
}

TEST_P(EngineBlocks, ForeignPointersAreTold) {
  int local = 0;
  static int global = 0;
  ASSERT_NE(client.allocate(1), nullptr);
  for (const void* p : {static_cast<const void*>(&local), static_cast<const void*>(&global),
                        reinterpret_cast<const void*>(16), reinterpret_cast<const void*>(1),
                        reinterpret_cast<const void*>(UINTPTR_MAX),
                        reinterpret_cast<const void*>(uintptr_t{1} << 47),
                        reinterpret_cast<const void*>(uintptr_t{1} << 63)}) {
    EXPECT_EQ(client.release(const_cast<void*>(p)), Released::kForeign) << p;
    EXPECT_EQ(engine().usable_bytes(p), 0u);
  }
}

// Memory of somebody else in the middle of our windows is foreign, wherever a pointer into it
// points.
TEST_P(EngineBlocks, ForeignMappingInsideOfAZone) {
  FakeEngine& e = engine();
  void* const first = client.allocate(2000);
  ASSERT_NE(first, nullptr);
  const uintptr_t base = e.space().plan.mid_zone();
  const size_t slab = e.space().mid.slab_bytes();
  const uint32_t next = e.space().mid.slab_count();
  box.os.take_place(base + next * slab, slab);
  std::vector<void*> held;
  while (e.space().mid.slab_count() <= next) held.push_back(client.allocate(60'000));
  ASSERT_EQ(e.space().mid.slab(next).slot, layout::Slot::kTaken);
  for (const size_t offset : {size_t{0}, size_t{16}, size_t{128}, size_t{1}, slab - 16}) {
    void* const p = reinterpret_cast<void*>(base + next * slab + offset);
    EXPECT_EQ(client.release(p), Released::kForeign) << offset;
    EXPECT_EQ(e.usable_bytes(p), 0u);
    EXPECT_EQ(e.describe(p).kind, heap::PointerInfo::Kind::kForeign);
  }
  for (void* block : held) ASSERT_EQ(client.release(block), Released::kDone);
}

TEST_P(EngineBlocks, GrowingBlockCopiesLittle) {
  // From 1 MiB on, blocks that can't grow in place move by remapping.
  auto* block = static_cast<unsigned char*>(client.allocate(2 * kMiB));
  std::vector<void*> fences{client.allocate(100'000)};
  block[0] = 42;
  const uint64_t before = box.os.calls(VmCall::kRemap);
  for (size_t bytes = 3 * kMiB; bytes <= 64 * kMiB; bytes += 3 * kMiB) {
    block = static_cast<unsigned char*>(client.reallocate(block, bytes));
    ASSERT_NE(block, nullptr);
    ASSERT_EQ(block[0], 42);
    block[bytes - 1] = 1;
  }
  EXPECT_GT(box.os.calls(VmCall::kRemap), before);
  ASSERT_EQ(client.release(block), Released::kDone);
  EXPECT_EQ(client.release(fences[0]), Released::kDone);
}

// A program that lets blocks grow and shrink again and again: after the first turns no mapping
// comes or goes or moves for it, and contents are kept.
TEST_P(EngineBlocks, BlocksThatGrowAndShrinkKeepTheirMemory) {
  const auto calls = [this] {
    return box.os.calls(VmCall::kMap) + box.os.calls(VmCall::kUnmap) +
           box.os.calls(VmCall::kRemap) + box.os.calls(VmCall::kDetach);
  };
  uint64_t before = 0;
  for (int turn = 0; turn < 6; ++turn) {
    if (turn == 3) before = calls();
    auto* block = static_cast<unsigned char*>(client.allocate(512 << 10));
    memset(block, turn, 512 << 10);
    for (size_t bytes = kMiB; bytes <= 40 * kMiB; bytes += bytes / 2) {
      block = static_cast<unsigned char*>(client.reallocate(block, bytes));
      ASSERT_NE(block, nullptr);
      block[bytes - 1] = static_cast<unsigned char>(turn);
    }
    for (size_t bytes = 30 * kMiB; bytes >= kMiB; bytes /= 3) {
      block = static_cast<unsigned char*>(client.reallocate(block, bytes));
      ASSERT_EQ(block[0], turn);
      ASSERT_EQ(block[512 * 1024 - 1], turn);
      block[bytes - 1] = static_cast<unsigned char>(turn);
    }
    ASSERT_EQ(client.release(block), Released::kDone);
    box.engine->verify();
  }
  EXPECT_EQ(calls(), before);
}

TEST_P(EngineBlocks, AGrowingBlockIsCopiedIntoIdleMemory) {
  void* const idle = client.allocate(12 * kMiB);
  auto* block = static_cast<unsigned char*>(client.allocate(2 * kMiB));
  memset(block, 7, 2 * kMiB);
  void* const fence = client.allocate(300'000);
  ASSERT_EQ(client.release(idle), Released::kDone);
  const uint64_t before = box.os.calls(VmCall::kRemap);
  block = static_cast<unsigned char*>(client.reallocate(block, 5 * kMiB));
  EXPECT_EQ(static_cast<void*>(block), idle);
  EXPECT_EQ(block[2 * kMiB - 1], 7);
  EXPECT_EQ(box.os.calls(VmCall::kRemap), before);
  EXPECT_EQ(client.release(block), Released::kDone);
  EXPECT_EQ(client.release(fence), Released::kDone);
  box.engine->verify();
}

// Where the old place is to wait as a freed block (hardened mode) pages move from 1 MiB on, also
// where kept ones lie behind the block: they may be another mapping's, and the next move would
// fail.
TEST(EngineResize, WhatLeavesItsPlaceIsNotCopied) {
  heap::Config config = heap::Config::defaults();
  config.hardened = config.leaves_moved = true;
  StartedBox box({}, config);
  const auto moves = [&](void* block, size_t bytes) {
    const uint64_t before = box.os.calls(VmCall::kDetach);
    void* const moved = box.engine->resize(block, box.engine->usable_bytes(block), bytes);
    EXPECT_NE(moved, block);
    EXPECT_EQ(box.os.calls(VmCall::kDetach), before + 1);
    if (moved != nullptr) box.client.release(moved);
    return box.client.release(block) == Released::kDone && moved != nullptr;
  };
  void* const span = box.client.allocate(kMiB);
  void* const fence = box.client.allocate(300'000);
  EXPECT_TRUE(moves(span, 2 * kMiB));
  void* const huge = box.client.allocate(40 * kMiB);
  ASSERT_EQ(box.engine->resize(huge, 40 * kMiB, 36 * kMiB), huge) << "4 MiB are kept";
  EXPECT_TRUE(moves(huge, 38 * kMiB));
  EXPECT_EQ(box.client.release(fence), Released::kDone);
  box.engine->verify();
}

TEST_P(EngineBlocks, FallsBackToSpansAndMappingsWhenAZoneCannotGrow) {
  EngineBox small({.largest_free_bytes = size_t{260} << 20});  // windows of 64 MiB
  ASSERT_TRUE(small.start());
  Client here(*small.engine, GetParam());
  std::map<void*, size_t> live;
  for (int i = 0; i < 3000; ++i) {
    auto* block = static_cast<char*>(here.allocate(i % 2 == 0 ? 1000 : 60'000));
    ASSERT_NE(block, nullptr) << i;
    memset(block, i & 0x7f, 1000);
    live[block] = static_cast<size_t>(i & 0x7f);
  }
  std::vector<void*> many;
  for (int i = 0; i < 70'000; ++i) {
    many.push_back(here.allocate(1024));
    ASSERT_NE(many.back(), nullptr) << i;
  }
  small.engine->verify();
  for (void* block : many) ASSERT_EQ(here.release(block), Released::kDone);
  for (const auto& [block, value] : live) {
    ASSERT_EQ(static_cast<char*>(block)[999], static_cast<char>(value));
    ASSERT_EQ(here.release(block), Released::kDone);
  }
  small.engine->verify();
}

// When address space is short the engine unmaps parts of its zones; a huge block may then be mapped
// right there.
TEST_P(EngineBlocks, HugeBlockInAHoleOfAZone) {
  EngineBox here({.reuse_holes = true});
  ASSERT_TRUE(here.start());
  Client thread(*here.engine, GetParam());
  std::vector<void*> blocks;
  for (int i = 0; i < 40; ++i) blocks.push_back(thread.allocate(size_t{3} << 20));
  for (void* block : blocks) ASSERT_EQ(thread.release(block), Released::kDone);
  here.os.fail_calls(here.os.calls() + 1);  // map() fails, so that it looks for what it can spare
  for (int i = 0; i < 5; ++i) {
    void* const huge = thread.allocate(size_t{34} << 20);
    ASSERT_NE(huge, nullptr);
    EXPECT_GE(here.engine->usable_bytes(huge), size_t{34} << 20);
    EXPECT_EQ(here.engine->describe(huge).kind, heap::PointerInfo::Kind::kLive);
    EXPECT_EQ(thread.release(huge), Released::kDone);
    thread.purge();
  }
}

TEST_P(EngineBlocks, SizeZeroWithoutMemory) {
  box.os.fail_kind(VmCall::kMapAt);
  box.os.fail_kind(VmCall::kMap);
  // Until nothing of the smallest class is left; then the answer is null, not a crash.
  std::vector<void*> held;
  while (void* const block = client.allocate(0)) held.push_back(block);
  EXPECT_EQ(client.allocate_zeroed(0), nullptr);
  EXPECT_EQ(client.allocate_aligned(16, 0), nullptr);
  box.os.heal();
  for (void* block : held) ASSERT_EQ(client.release(block), Released::kDone);
  EXPECT_NE(client.allocate(0), nullptr);
}

}  // namespace
}  // namespace tide::tests
