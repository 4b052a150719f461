#include "walk/glibc_heap.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/walk/glibc_image.h"

namespace tide::walk {
namespace {

using Blocks = std::map<uint64_t, uint64_t>;

Blocks blocks_of(const Heap& heap, Unknown* unknown = nullptr) {
  Blocks all;
  const Unknown found = heap.for_each_block([&](std::span<const Block> blocks) {
    for (const Block& block : blocks) EXPECT_TRUE(all.emplace(block.address, block.bytes).second);
    return true;
  });
  if (unknown != nullptr) *unknown = found;
  return all;
}

bool any_says(const std::vector<Problem>& problems, std::string_view text) {
  return std::any_of(problems.begin(), problems.end(), [&](const Problem& problem) {
    return problem.text.find(text) != std::string::npos;
  });
}

TEST(GlibcHeap, IsNoneBeforeTheFirstCall) {
  const GlibcImage image;
  EXPECT_EQ(find_glibc_heap(image), nullptr);
}

TEST(GlibcHeap, TellsLiveFromFreedBlocks) {
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x30);
  const uint64_t cached = image.add(0x40);
  const uint64_t cached_too = image.add(0x40);
  const uint64_t fast = image.add(0x20);
  const uint64_t free = image.add(0x500);
  const uint64_t last = image.add(0x100);
  image.cache(cached);
  image.cache(cached_too);
  image.put_in_fast_bin(fast);
  image.put_in_bin(free);
  const auto heap = find_glibc_heap(image);
  ASSERT_NE(heap, nullptr);
  EXPECT_EQ(blocks_of(*heap), (Blocks{{live, 0x28}, {last, 0xf8}}));
  EXPECT_TRUE(heap->check(100).empty()) << heap->check(1)[0].text;

  const HeapSummary summary = heap->summary();
  EXPECT_EQ(summary.live_bytes, 0x28u + 0xf8u);
  EXPECT_EQ(summary.cached_bytes, 2 * 0x38u + 0x18u);
  EXPECT_EQ(summary.live_bytes + summary.cached_bytes + summary.free_bytes + summary.metadata_bytes,
            summary.mapped_bytes + sizeof(glibc::ArenaState));

  EXPECT_EQ(heap->find(cached + 5)->where, "in the tcache of thread 4711");
  EXPECT_EQ(heap->find(fast)->where, "in a fast bin of arena 0");
  EXPECT_EQ(heap->find(free)->state, BlockState::kFree);
  EXPECT_EQ(heap->find(live + 0x27)->address, live);  // in the next chunk's head
  EXPECT_EQ(heap->find(image.top() + 64)->where, "top of arena 0");
  EXPECT_FALSE(heap->find(GlibcImage::kMapped).has_value());
  ASSERT_EQ(heap->threads().size(), 1u);
  EXPECT_EQ(heap->threads()[0].cached_blocks, 2u);
}

TEST(GlibcHeap, ReadsPlainLinksOfOldVersions) {
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x30);
  for (int i = 0; i < 3; ++i) image.cache(image.add(0x40), false);
  for (int i = 0; i < 3; ++i) image.put_in_fast_bin(image.add(0x20), false);
  const auto heap = find_glibc_heap(image);
  EXPECT_EQ(blocks_of(*heap), (Blocks{{live, 0x28}}));
}

TEST(GlibcHeap, KnowsAThreadCacheFromABlockThatLooksLikeOne) {
  GlibcImage image;
  image.start();
  const uint64_t zeroed = image.add(glibc::kThreadCacheChunk);
  EXPECT_EQ(blocks_of(*find_glibc_heap(image)), (Blocks{{zeroed, 0x288}}));
  image.forget_threads();
  EXPECT_EQ(blocks_of(*find_glibc_heap(image)), (Blocks{{zeroed, 0x288}}));
}

TEST(GlibcHeap, FindsBlocksWithMappingsOfTheirOwn) {
  GlibcImage image;
  image.start();
  const uint64_t plain = GlibcImage::kMapped;
  image.put(plain + 8, uint64_t{0x21000 | glibc::kIsMapped});
  // Somebody else's page, then a block that was to begin on a page.
  const uint64_t start = plain + 0x22000;
  image.put(start + 8, uint64_t{0x30000 | glibc::kIsMapped});
  image.put(start + 0xff0, uint64_t{0xff0});
  image.put(start + 0xff8, uint64_t{(0x30000 - 0xff0) | glibc::kIsMapped});
  const Blocks expected{{plain + 16, 0x21000 - 16}, {start + 0x1000, 0x30000 - 0x1000}};
  const auto heap = find_glibc_heap(image);
  EXPECT_EQ(blocks_of(*heap), expected);
  EXPECT_EQ(heap->find(plain + 0x20000)->where, "a mapping of its own");
}

// realloc leaves what stands at the mapping's start as it was.
TEST(GlibcHeap, FindsAlignedBlocksThatWereMadeShorterOrMoved) {
  GlibcImage image;
  image.start();
  // It was to begin at a multiple of 512 KiB, and all but 0x1000 bytes of it are gone.
  const uint64_t shorter = GlibcImage::kMapped + 0x1000;
  const uint64_t lead = 0x80000 - 0x1000 - glibc::kChunkHead;
  image.put(shorter + 8, uint64_t{0x100000 | glibc::kIsMapped});
  image.put(shorter + lead, lead);
  image.put(shorter + lead + 8, uint64_t{0x1010 | glibc::kIsMapped});
  // It was to begin at a multiple of 64 KiB, grew, and had to go elsewhere.
  const uint64_t moved = GlibcImage::kMapped + 0x81000;
  image.put(moved + 8, uint64_t{0x30000 | glibc::kIsMapped});
  image.put(moved + 0xbff0, uint64_t{0xbff0});
  image.put(moved + 0xbff8, uint64_t{(0x50000 - 0xbff0) | glibc::kIsMapped});
  const Blocks expected{{GlibcImage::kMapped + 0x80000, 0x1000},
                        {moved + 0xc000, 0x50000 - 0xc000}};
  EXPECT_EQ(blocks_of(*find_glibc_heap(image)), expected);
}

TEST(GlibcHeap, FindsOtherArenasByTheRing) {
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x30);
  const uint64_t heap_start = 0x7e0000000000;
  const uint64_t arena = heap_start + 0x30;
  const uint64_t bytes = 0x3000;
  image.add_segment(heap_start, bytes, "");
  image.put(heap_start, glibc::HeapInfo{arena, 0, bytes, bytes});
  for (size_t bin = 1; bin < glibc::ArenaState::kBins; ++bin) {
    const uint64_t self = glibc::bin_address(arena, bin);
    image.put(self + glibc::kForward, self);
    image.put(self + glibc::kBack, self);
  }
  const uint64_t first = heap_start + 0x8d0;
  image.put(first + 8, uint64_t{0x51 | glibc::kNotMain});
  image.put(first + 0x58, (bytes - 0x8d0 - 0x50) | glibc::kPrevInUse);
  image.put(arena + offsetof(glibc::ArenaState, top), first + 0x50);
  image.put(arena + offsetof(glibc::ArenaState, next), GlibcImage::kArena);
  image.put(arena + offsetof(glibc::ArenaState, system_bytes), bytes);
  image.put(arena + offsetof(glibc::ArenaState, most_system_bytes), bytes);
  image.put(GlibcImage::kArena + offsetof(glibc::ArenaState, next), arena);
  const auto heap = find_glibc_heap(image);
  EXPECT_EQ(blocks_of(*heap), (Blocks{{live, 0x28}, {first + 16, 0x48}}));
  EXPECT_EQ(heap->find(first + 20)->owner, 1u);
  EXPECT_TRUE(heap->check(100).empty()) << heap->check(1)[0].text;
}

TEST(GlibcHeap, GoesOnBehindDamage) {
  GlibcImage image;
  image.start();
  const uint64_t before = image.add(0x30);
  const uint64_t damaged = image.add(0x60);
  const uint64_t behind = image.add(0x70);
  image.put(damaged - 8, uint64_t{0x4141414141414141});
  const auto heap = find_glibc_heap(image);
  Unknown unknown;
  EXPECT_EQ(blocks_of(*heap, &unknown), (Blocks{{before, 0x28}, {behind, 0x68}}));
  EXPECT_EQ(unknown.parts, 1u);
  EXPECT_EQ(unknown.bytes, 0x60u);
  EXPECT_TRUE(any_says(heap->check(100), "written past its end"));
}

TEST(GlibcHeap, EndsListsThatLeadIntoThemselvesOrNowhere) {
  GlibcImage image;
  image.start();
  const uint64_t twice = image.add(0x40);
  const uint64_t wild = image.add(0x30);
  const uint64_t live = image.add(0x50);
  image.put_in_fast_bin(twice);
  image.put_in_fast_bin(twice);
  image.put_in_fast_bin(wild);
  image.put(wild, uint64_t{0x4242424242424242});
  const auto heap = find_glibc_heap(image);
  EXPECT_EQ(blocks_of(*heap), (Blocks{{live, 0x48}}));
  EXPECT_TRUE(any_says(heap->check(100), "freed twice"));
  EXPECT_TRUE(any_says(heap->check(100), "where no chunk can be"));
}

TEST(GlibcHeap, SaysWhatAnArenaCountsAndDoesNotShow) {
  GlibcImage image;
  image.start();
  image.put(GlibcImage::kArena + offsetof(glibc::ArenaState, system_bytes), uint64_t{0x100000});
  image.put(GlibcImage::kArena + offsetof(glibc::ArenaState, most_system_bytes),
            uint64_t{0x100000});
  Unknown unknown;
  blocks_of(*find_glibc_heap(image), &unknown);
  EXPECT_EQ(unknown.bytes, 0x100000 - GlibcImage::kHeapBytes);
}

// The C library's data come late in a core, the break early.
TEST(GlibcHeap, KnowsTheBreakOfACoreThatWasCutOffBeforeTheMainArena) {
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x30);
  const uint64_t cached = image.add(0x40);
  for (int i = 0; i < 3; ++i) image.put_in_fast_bin(image.add(0x20));
  const uint64_t small = image.add(0x20);
  const uint64_t free = image.add(0x500);
  const uint64_t last = image.add(0x100);
  image.cache(cached);
  image.put_in_bin(free);
  // What a program may well have: a pointer to a block, a null pointer.
  image.put(small, live);
  image.put(last, uint64_t{0});
  image.lose(GlibcImage::kLibc);
  image.lose(GlibcImage::kThread);
  const auto heap = find_glibc_heap(image);
  ASSERT_NE(heap, nullptr);
  Unknown unknown;
  EXPECT_EQ(blocks_of(*heap, &unknown), (Blocks{{live, 0x28}, {small, 0x18}, {last, 0xf8}}));
  EXPECT_NE(unknown.parts, 0u);
  EXPECT_NE(unknown.reason.find("3 chunks may be in fast bins or live"), std::string::npos);
  EXPECT_EQ(heap->find(image.top() + 64)->where, "top of arena 0");
  EXPECT_EQ(heap->find(cached)->where, "in the tcache of a thread");
  EXPECT_NE(heap->find(small - 0x10)->where.find("perhaps live"), std::string::npos);
}

// Chunks in the cache of a thread whose arena was cut off.
TEST(GlibcHeap, TellsTheMarkOfThreadCachesThatAreNotThere) {
  constexpr uint64_t kMark = 0x263c8bb4ca85ed12;
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x110);
  const uint64_t first = image.add(0x110);
  const uint64_t second = image.add(0x110);
  // Contents that look like the one half of it or the other.
  const uint64_t marked = image.add(0x110);
  const uint64_t linked = image.add(0x110);
  image.put(first, second ^ (first >> 12));
  image.put(first + 8, kMark);
  image.put(second, second >> 12);
  image.put(second + 8, kMark);
  image.put(marked, live);
  image.put(marked + 8, kMark);
  image.put(linked, linked >> 12);
  image.put(linked + 8, uint64_t{5});
  image.lose(GlibcImage::kLibc);
  image.lose(GlibcImage::kThread);
  const auto heap = find_glibc_heap(image);
  ASSERT_NE(heap, nullptr);
  EXPECT_EQ(blocks_of(*heap), (Blocks{{live, 0x108}, {marked, 0x108}, {linked, 0x108}}));
}

TEST(GlibcHeap, ListsWhatIsThereOfABreakThatWasCutOff) {
  GlibcImage image;
  image.start();
  const uint64_t live = image.add(0x30);
  const uint64_t next = image.add(0x1000);
  image.add(0x500);
  image.lose(next + 0x100);
  image.lose(GlibcImage::kLibc);
  image.lose(GlibcImage::kThread);
  image.lose(GlibcImage::kMapped);
  Unknown unknown;
  EXPECT_EQ(blocks_of(*find_glibc_heap(image), &unknown), (Blocks{{live, 0x28}}))
      << "whether a chunk is free stands behind it";
  EXPECT_EQ(unknown.bytes, GlibcImage::kHeap + GlibcImage::kHeapBytes - (next - 16));
}

TEST(GlibcHeap, IsNoneInACoreThatWasCutOffBeforeTheBreak) {
  GlibcImage image;
  image.start();
  for (const uint64_t start : {GlibcImage::kHeap, GlibcImage::kLibc, GlibcImage::kThread}) {
    image.lose(start);
  }
  EXPECT_EQ(find_glibc_heap(image), nullptr);
}

}  // namespace
}  // namespace tide::walk
