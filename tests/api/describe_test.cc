// tide_describe(): what is at an address. Also run with TIDE_HARDEN=2.
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include <atomic>
#include <initializer_list>
#include <iterator>
#include <thread>

#include "tide/tide.h"

namespace {

constexpr size_t kSizes[] = {1, 16, 100, 1024, 1025, 40000, 65536, 65537, 300000, size_t{40} << 20};

bool is_hardened() { return getenv("TIDE_HARDEN") != nullptr; }

tide_description described(const void* address) {
  tide_description description{};
  const int is_ours = tide_describe(address, &description);
  EXPECT_EQ(is_ours, description.state == TIDE_NOT_OURS ? 0 : 1);
  return description;
}

TEST(Describe, LiveBlocksFromAnyOfTheirBytes) {
  tide_heap_t* const heap = tide_heap_create(0);
  for (const size_t size : kSizes) {
    for (tide_heap_t* const owner : {static_cast<tide_heap_t*>(nullptr), heap}) {
      auto* const block =
          static_cast<char*>(owner == nullptr ? malloc(size) : tide_heap_malloc(owner, size));
      const size_t usable = malloc_usable_size(block);
      for (const size_t offset : {size_t{0}, size_t{1}, usable / 2, usable - 1}) {
        const tide_description found = described(block + offset);
        EXPECT_EQ(found.state, static_cast<uint32_t>(TIDE_LIVE)) << size << " + " << offset;
        EXPECT_EQ(found.block, block) << size << " + " << offset;
        EXPECT_GE(found.usable_bytes, usable) << size;
        EXPECT_TRUE(is_hardened() || found.usable_bytes == usable) << size;
        EXPECT_EQ(found.heap, owner) << size;
        EXPECT_TRUE(found.class_bytes == 0 || found.class_bytes >= usable) << size;
      }
      free(block);
      EXPECT_NE(described(block).state, static_cast<uint32_t>(TIDE_LIVE)) << size;
    }
  }
  tide_heap_destroy(heap);
}

TEST(Describe, FreedBlocksAreAtHandUntilTheyGoBack) {
  auto* const block = static_cast<char*>(malloc(100));
  void* const neighbour = malloc(100);  // keeps the slab
  free(block);
  tide_description found = described(block + 50);
  EXPECT_EQ(found.state, static_cast<uint32_t>(is_hardened() ? TIDE_HELD_BACK : TIDE_CACHED));
  EXPECT_EQ(found.block, block);
  EXPECT_EQ(found.usable_bytes, found.class_bytes);
  tide_malloc_trim(0);
  found = described(block + 50);
  if (!is_hardened()) {
    EXPECT_EQ(found.state, static_cast<uint32_t>(TIDE_FREE));
    EXPECT_TRUE(found.block == block || found.block == nullptr);
  }
  free(neighbour);
}

TEST(Describe, WhatIsNoBlockOfOurs) {
  int local = 0;
  static int global = 0;
  for (const void* p : std::initializer_list<const void*>{
           nullptr, &local, &global, reinterpret_cast<const void*>(&tide_malloc),
           reinterpret_cast<void*>(1), reinterpret_cast<void*>(UINTPTR_MAX),
           reinterpret_cast<void*>(uintptr_t{1} << 47), reinterpret_cast<void*>(INTPTR_MIN)}) {
    EXPECT_EQ(described(p).state, static_cast<uint32_t>(TIDE_NOT_OURS)) << p;
  }
}

// Every 4 KiB around all blocks, and random values: no answer but a true one, and no fault.
TEST(Describe, AnyValueIsSafe) {
  void* const block = malloc(100);
  const auto near = reinterpret_cast<uintptr_t>(block) & ~uintptr_t{4095};
  for (uintptr_t at = near - (64 << 20); at < near + (64 << 20); at += 4096) {
    const tide_description found = described(reinterpret_cast<void*>(at + 8));
    if (found.state == TIDE_LIVE) {
      EXPECT_LE(malloc_usable_size(found.block), found.usable_bytes);
    }
  }
  uint64_t random = 88172645463325252;
  for (int i = 0; i < 200000; ++i) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    const tide_description found = described(reinterpret_cast<void*>(random >> (i % 20)));
    if (found.state == TIDE_NOT_OURS) {
      EXPECT_EQ(found.block, nullptr);
    }
  }
  free(block);
}

TEST(Describe, WhileOthersAllocateAndFree) {
  std::atomic<bool> stop{false};
  std::atomic<void*> shared{nullptr};
  std::thread other([&] {
    for (size_t i = 0; !stop.load(); ++i) {
      void* const block = malloc(kSizes[i % std::size(kSizes)]);
      shared.store(block);
      free(block);
    }
  });
  size_t ours = 0;
  // At least until the other thread has had its turn.
  for (int i = 0; i < 200000 || ours == 0; ++i) {
    tide_description description{};
    ours += static_cast<size_t>(tide_describe(shared.load(), &description));
  }
  stop.store(true);
  other.join();
}

}  // namespace
