// What is noted of large blocks when they go, and that nothing is of others.
#include "probe/large_blocks.h"

#include <sys/mman.h>
#include <map>

#include <gtest/gtest.h>

#include "tests/unit/probe/test_arena.h"

namespace tide::probe::test {
namespace {

constexpr size_t kPage = 4096;

uint64_t map_pages(size_t pages, size_t touched) {
  auto* const memory = static_cast<char*>(
      mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  madvise(memory, pages * kPage, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < touched; ++i) memory[i * kPage] = 1;
  return reinterpret_cast<uint64_t>(memory);
}

// The notes of the only stream: bytes by address.
std::map<uint64_t, uint64_t> touches(TestArena& arena) {
  std::map<uint64_t, uint64_t> found;
  for (const auto& [key, stream] : arena.streams()) {
    visit_records(stream, [&](const Record& record) {
      if (record.call == Call::kNote &&
          record.extras[0] == static_cast<uint64_t>(format::Note::kTouched)) {
        found[record.extras[1]] = record.extras[2];
      }
    });
  }
  return found;
}

TEST(LargeBlocks, WhatIsInMemoryIsNotedWhenTheyGo) {
  TestArena arena({});
  const uint64_t corner = map_pages(256, 3);
  const uint64_t full = map_pages(64, 64);
  const uint64_t small = map_pages(15, 15);
  const uint64_t live = map_pages(1024, 100);
  const uint64_t gone = map_pages(32, 0);
  ASSERT_EQ(arena.record([&] {
    ThreadStream& stream = *t_stream;
    block_came(corner, 256 * kPage);
    block_came(full, 64 * kPage - 100);
    block_came(small, 15 * kPage);
    block_came(live, 1024 * kPage);
    block_came(gone, 32 * kPage);
    block_came(0, 32 * kPage);  // it failed
    munmap(reinterpret_cast<void*>(gone), 32 * kPage);
    for (const uint64_t block : {corner, full, small, gone, corner + 64, uint64_t{0}}) {
      block_goes(stream, block);
    }
    all_blocks_go(stream);
    return 0;
  }),
            0);
  EXPECT_EQ(touches(arena),
            (std::map<uint64_t, uint64_t>{
                {corner, 3 * kPage}, {full, 64 * kPage - 100}, {live, 100 * kPage}}));
}

TEST(LargeBlocks, MoreThanTheTableHoldsAreLeftOutAndNothingBreaks) {
  TestArena arena({.packets = 4096});
  ASSERT_EQ(arena.record([&] {
    ThreadStream& stream = *t_stream;
    constexpr uint64_t kBase = 0x7e9000000000;  // nothing is there, nor of a sanitizer
    for (int round = 0; round < 2; ++round) {
      for (uint64_t i = 0; i < 100'000; ++i) block_came(kBase + i * kLargeBlock, kLargeBlock);
      for (uint64_t i = 0; i < 100'000; ++i) block_goes(stream, kBase + i * kLargeBlock);
    }
    const uint64_t block = map_pages(16, 1);
    block_came(block, kLargeBlock);
    block_goes(stream, block);
    return 0;
  }),
            0);
  EXPECT_EQ(touches(arena).size(), 1u);
}

}  // namespace
}  // namespace tide::probe::test
