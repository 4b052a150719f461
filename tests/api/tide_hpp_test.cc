// tide.hpp: the allocator in containers, heaps as objects, memory resources.
#include "tide/tide.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory_resource>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

static_assert(std::allocator_traits<tide::allocator<int>>::is_always_equal::value);
static_assert(!std::is_copy_constructible_v<tide::heap>);
static_assert(std::is_nothrow_move_constructible_v<tide::heap>);
static_assert(std::is_nothrow_move_assignable_v<tide::heap>);

TEST(Allocator, WorksInContainers) {
  std::vector<int, tide::allocator<int>> numbers;
  for (int i = 0; i < 100000; ++i) numbers.push_back(i);
  EXPECT_EQ(numbers[99999], 99999);
  std::map<int, std::string, std::less<>, tide::allocator<std::pair<const int, std::string>>> map;
  for (int i = 0; i < 1000; ++i) map[i] = std::to_string(i);
  EXPECT_EQ(map[500], "500");
  std::list<char, tide::allocator<char>> list(1000, 'x');
  auto copy = list;
  EXPECT_EQ(copy, list);
  EXPECT_TRUE(tide::allocator<int>() == tide::allocator<char>());
  EXPECT_FALSE(tide::allocator<int>() != tide::allocator<char>());
}

TEST(Allocator, KeepsWideAlignments) {
  struct alignas(256) Wide {
    char bytes[256];
  };
  std::vector<Wide, tide::allocator<Wide>> wide(10);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.data()) % 256, 0u);
}

TEST(Allocator, ThrowsWhatTheStandardSays) {
  tide::allocator<long> allocator;
  EXPECT_THROW((void)allocator.allocate(SIZE_MAX / 2), std::bad_array_new_length);
  EXPECT_THROW((void)allocator.allocate(SIZE_MAX / 64), std::bad_alloc);
}

TEST(Heap, OwnsItsBlocks) {
  tide::heap heap;
  void* const p = heap.allocate(100);
  EXPECT_EQ(tide_heap_of(p), heap.handle());
  EXPECT_EQ(heap.live_blocks(), 1u);
  EXPECT_GE(heap.live_bytes(), 100u);
  tide::heap::deallocate(p);
  EXPECT_EQ(heap.live_blocks(), 0u);
  void* const aligned = heap.allocate(100, 4096);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned) % 4096, 0u);
}

TEST(Heap, Moves) {
  tide::heap a;
  tide_heap_t* const handle = a.handle();
  tide::heap b(std::move(a));
  EXPECT_EQ(b.handle(), handle);
  EXPECT_EQ(a.handle(), nullptr);  // NOLINT(bugprone-use-after-move)
  tide::heap c;
  c = std::move(b);
  EXPECT_EQ(c.handle(), handle);
  swap(b, c);
  EXPECT_EQ(b.handle(), handle);
}

TEST(Heap, KeepsItsLimit) {
  tide::heap heap(1 << 20);
  EXPECT_EQ(heap.limit(), 1u << 20);
  EXPECT_EQ(heap.try_allocate(2 << 20), nullptr);
  EXPECT_THROW((void)heap.allocate(2 << 20), std::bad_alloc);
  heap.set_limit(4 << 20);
  EXPECT_NE(heap.try_allocate(2 << 20), nullptr);
}

TEST(MemoryResource, OverTheProcessAndOverAHeap) {
  tide::memory_resource process;
  std::pmr::vector<int> numbers(1000, 7, &process);
  EXPECT_EQ(tide_heap_of(numbers.data()), nullptr);

  tide::heap heap;
  tide::memory_resource resource(heap);
  {
    std::pmr::unordered_map<int, std::pmr::string> map(&resource);
    for (int i = 0; i < 1000; ++i) map[i] = std::string(100, 'x');
    EXPECT_GT(heap.live_bytes(), 100000u);
  }
  EXPECT_EQ(heap.live_blocks(), 0u);

  tide::memory_resource same(heap);
  EXPECT_TRUE(resource.is_equal(same));
  EXPECT_FALSE(resource.is_equal(process));
  EXPECT_TRUE(process.is_equal(tide::memory_resource()));
  EXPECT_FALSE(resource.is_equal(*std::pmr::new_delete_resource()));

  void* const wide = resource.allocate(64, 1024);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide) % 1024, 0u);
  resource.deallocate(wide, 64, 1024);
  EXPECT_THROW((void)resource.allocate(SIZE_MAX / 4), std::bad_alloc);
}

TEST(Walk, FindsABlockAndDescribesIt) {
  tide::heap heap;
  auto* const block = static_cast<char*>(heap.allocate(5000));
  std::size_t found = 0;
  EXPECT_TRUE(tide::walk_heap([&](const tide_block& seen) {
    if (seen.address == block) found = seen.usable_bytes;
    return true;
  }));
  EXPECT_GE(found, 5000u);
  EXPECT_FALSE(tide::walk_heap([](const tide_block&) { return false; }));
  const tide_description description = tide::describe(block + 4000);
  EXPECT_EQ(description.block, block);
  EXPECT_EQ(description.usable_bytes, found);
  EXPECT_EQ(description.heap, heap.handle());
}

}  // namespace
