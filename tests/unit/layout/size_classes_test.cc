#include "layout/size_classes.h"

#include <gtest/gtest.h>

#include "layout/thread_cache.h"

namespace tide::layout {
namespace {

// Every size from 0 to the largest that has a class: it holds it, and no smaller class does.
TEST(SizeClasses, EverySizeHasItsSmallestClass) {
  uint32_t last = 1;
  for (size_t bytes = 0; bytes <= kMidMaxBytes; ++bytes) {
    const uint32_t c = class_of(bytes);
    if (c == 0 && bytes > kClassedMaxBytes) continue;
    ASSERT_GE(c, 1u) << bytes;
    ASSERT_LE(c, kLastClass);
    ASSERT_GE(class_bytes(c), bytes);
    if (c > 1) {
      ASSERT_LT(class_bytes(c - 1), bytes) << bytes << " fits a smaller class";
    }
    ASSERT_TRUE(c == last || c == last + 1) << bytes;
    last = c;
  }
  EXPECT_EQ(last, kLastClass);
}

// ... and the other way: every class is the class of its own size.
TEST(SizeClasses, EveryClassIsTheClassOfItsSize) {
  for (uint32_t c = 1; c < kClassCount; ++c) {
    EXPECT_EQ(class_of(class_bytes(c)), c);
    EXPECT_EQ(class_of(class_bytes(c) - 1), c);
    if (class_bytes(c) < kClassedMaxBytes) {
      EXPECT_EQ(class_of(class_bytes(c) + 1), c + 1);
    }
  }
}

TEST(SizeClasses, AlignedRequestsGetAlignedClasses) {
  for (size_t alignment = 1; alignment <= kMidMaxBytes; alignment *= 2) {
    for (size_t bytes = 0; bytes <= kMidMaxBytes; bytes += bytes < 2000 ? 1 : 61) {
      const size_t wanted = bytes_aligned(alignment, bytes);
      ASSERT_GE(wanted, bytes);
      ASSERT_LE(wanted, kMidMaxBytes);
      const uint32_t c = class_of(wanted);
      if (c == 0 && wanted > kClassedMaxBytes) continue;
      ASSERT_EQ(class_bytes(c) % alignment, 0u) << alignment << " " << bytes;
    }
  }
}

TEST(SizeClasses, LongBlocksHaveTheSmallestClassThatLosesLittle) {
  constexpr size_t kKiB = 1024;
  for (size_t bytes = kClassedMaxBytes + 1; bytes <= kMidMaxBytes; ++bytes) {
    uint32_t c = kFirstLongClass;
    while (class_bytes(c) < bytes) ++c;
    const size_t least = (bytes + 127) / 128 * 128;
    ASSERT_EQ(class_of(bytes), class_bytes(c) - least <= least / 4 ? c : 0) << bytes;
  }
  EXPECT_EQ(class_bytes(class_of(130 * kKiB)), 160 * kKiB);
  EXPECT_EQ(class_of(170 * kKiB), 0u);
}

TEST(SizeClasses, SlabsBeginAtDifferentOffsets) {
  for (uint32_t c = 1; c < kClassCount; ++c) {
    EXPECT_EQ(first_block(0, c), 0u);
    for (uint32_t slab = 0; slab < 100; ++slab) {
      EXPECT_LE(first_block(slab, c), blocks_per_slab(c) / 16);
      EXPECT_EQ(first_block(slab, c), first_block(slab + 8, c));
    }
    // By a line of state bytes each, as long as there is room.
    if (blocks_per_slab(c) >= 32) EXPECT_GE(first_block(1, c) * granules_per_block(c), 64u) << c;
  }
}

TEST(SizeClasses, TablesAgreeWithTheFormulas) {
  for (uint32_t c = 1; c < kClassCount; ++c) {
    EXPECT_EQ(kClassInfo[c].bytes, class_bytes(c));
    EXPECT_EQ(kClassInfo[c].granules, granules_per_block(c));
    EXPECT_EQ(kClassInfo[c].blocks_per_slab, blocks_per_slab(c));
    EXPECT_EQ(kClassInfo[c].usual_slots, usual_slots(c));
    EXPECT_EQ(kClassInfo[c].cache_slots, cache_slots(c));
    EXPECT_EQ(kClassInfo[c].batch, batch_blocks(c));
  }
}

TEST(SizeClasses, AtMostAnEighthIsLostAbove128BytesAndAQuarterAbove64KiB) {
  size_t without = 0;
  for (size_t bytes = 129; bytes <= kMidMaxBytes; ++bytes) {
    const uint32_t c = class_of(bytes);
    if (c == 0) {
      ASSERT_GT(bytes, kClassedMaxBytes);
      ++without;
      continue;
    }
    ASSERT_GE(class_bytes(c), bytes);
    const size_t counted = bytes <= kClassedMaxBytes ? bytes : (bytes + 127) / 128 * 128;
    const size_t part = bytes <= kClassedMaxBytes ? 8 : 4;
    ASSERT_LE((class_bytes(c) - counted) * part, counted) << bytes;
  }
  EXPECT_LT(without, kMidMaxBytes / 2) << "most sizes have a class";
  EXPECT_EQ(class_of(kMidMaxBytes + 1), 0u);
  for (size_t bytes = 1; bytes <= 128; ++bytes) {
    ASSERT_LT(class_bytes(class_of(bytes)) - bytes, 16u) << bytes;
  }
}

TEST(SizeClasses, BlocksAreWholeGranulesOfTheirZone) {
  for (uint32_t c = 1; c < kClassCount; ++c) {
    const size_t granule = size_t{1} << granule_shift(c);
    EXPECT_EQ(class_bytes(c) % granule, 0u) << c;
    EXPECT_EQ(granules_per_block(c) * granule, class_bytes(c)) << c;
    EXPECT_EQ(class_bytes(c) % kMinAlignment, 0u) << c;
    EXPECT_EQ(is_small_class(c), class_bytes(c) <= kSmallMaxBytes) << c;
    EXPECT_GE(granules_per_block(c), 1u) << c;
  }
}

TEST(SizeClasses, SlabsHoldWholeBlocksAndWasteLittle) {
  for (uint32_t c = 1; c < kClassCount; ++c) {
    const size_t slab = size_t{kGranulesPerSlab} << granule_shift(c);
    const size_t filled = blocks_per_slab(c) * class_bytes(c);
    EXPECT_LE(filled, slab) << c;
    EXPECT_LT(slab - filled, class_bytes(c)) << c;
    EXPECT_GE(blocks_per_slab(c), class_bytes(c) <= kClassedMaxBytes ? 8u : 2u) << c;
    if (c >= kFirstLongClass)
      EXPECT_LE((slab - filled) * 16, slab) << c << ": what a reused slab's end may hold in vain";
  }
}

// The classes that serve aligned requests: a power of two up to the mid limit is a class itself.
TEST(SizeClasses, PowersOfTwoAreClasses) {
  for (size_t bytes = kMinAlignment; bytes <= kMidMaxBytes; bytes *= 2) {
    EXPECT_EQ(class_bytes(class_of(bytes)), bytes);
  }
}

TEST(SizeClasses, BatchesFitTheirCaches) {
  size_t slots = 0;
  for (uint32_t c = 1; c < kClassCount; ++c) {
    EXPECT_GE(batch_blocks(c), 1u) << c;
    EXPECT_LE(batch_blocks(c), kMaxBatch) << c;
    EXPECT_LE(2 * batch_blocks(c), usual_slots(c)) << c;
    EXPECT_LE(usual_slots(c), cache_slots(c)) << c;
    EXPECT_EQ(kCacheSlotOffset[c], slots) << c;
    slots += cache_slots(c) + 1;
  }
  EXPECT_EQ(kCacheSlots, slots);
}

}  // namespace
}  // namespace tide::layout
