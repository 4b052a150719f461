// How blocks grow by realloc: heap/block_bytes.h.
#include "heap/block_bytes.h"

#include <gtest/gtest.h>

#include <set>

#include "layout/size_classes.h"

namespace tide::tests {
namespace {

size_t next_size(size_t usable) {
  const size_t wanted = heap::bytes_to_grow_to(usable, usable + 1);
  return layout::class_bytes(layout::class_of(wanted));
}

TEST(BlockBytes, AStepIsAPowerOfTwoOrHalfwayBetween) {
  EXPECT_EQ(heap::growth_step(192), 192u);
  EXPECT_EQ(heap::growth_step(193), 256u);
  EXPECT_EQ(heap::growth_step(256), 256u);
  EXPECT_EQ(heap::growth_step(257), 384u);
}

// What one text has left behind is what the next one takes.
TEST(BlockBytes, TextsThatGrowMeetInTheSameClasses) {
  std::set<size_t> sizes;
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    if (layout::class_bytes(c) < 128) continue;
    for (size_t bytes = layout::class_bytes(c); bytes < 60'000;) {
      bytes = next_size(bytes);
      sizes.insert(bytes);
    }
  }
  EXPECT_LE(sizes.size(), 2u * 9 + 1) << "two of each doubling from 128 to 64 KiB";
}

TEST(BlockBytes, AMoveIsWorthAnEighthAtLeastAndThreeQuartersAtMost) {
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    const size_t bytes = layout::class_bytes(c);
    if (bytes < 128 || bytes > 100'000) continue;
    EXPECT_GE(next_size(bytes), bytes + bytes / 8) << bytes;
    EXPECT_LE(next_size(bytes), bytes + bytes / 4 * 3) << bytes;
  }
}

TEST(BlockBytes, WhatGrowsByMuchGetsWhatItAsksFor) {
  EXPECT_EQ(heap::bytes_to_grow_to(256, 1000), 1000u);
  EXPECT_EQ(heap::bytes_to_grow_to(64, 65), 65u);
  EXPECT_EQ(heap::bytes_to_grow_to(256, 200), 200u);
  EXPECT_EQ(heap::bytes_to_grow_to(256, 257), 384u);
  EXPECT_EQ(heap::bytes_to_grow_to(layout::kMidMaxBytes, layout::kMidMaxBytes),
            layout::kMidMaxBytes);
}

}  // namespace
}  // namespace tide::tests
