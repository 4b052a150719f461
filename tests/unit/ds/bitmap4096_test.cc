#include "ds/bitmap4096.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <random>
#include <set>

namespace tide::ds {
namespace {

struct Storage {
  uint64_t summary = 0;
  Bitmap4096::Words words{};
  Bitmap4096 view() { return {summary, words}; }
};

uint32_t lowest(Storage storage) {
  uint32_t index = Bitmap4096::kBits;
  storage.view().take_lowest(1, [&](uint32_t first) { index = first; });
  return index;
}

TEST(Bitmap4096, EveryIndexAlone) {
  Storage storage;
  Bitmap4096 bitmap = storage.view();
  for (uint32_t index = 0; index < Bitmap4096::kBits; ++index) {
    EXPECT_TRUE(bitmap.empty());
    bitmap.set(index);
    EXPECT_TRUE(bitmap.test(index));
    EXPECT_EQ(lowest(storage), index);
    EXPECT_EQ(bitmap.count(), 1u);
    bitmap.clear(index);
    EXPECT_FALSE(bitmap.test(index));
  }
  EXPECT_TRUE(bitmap.empty());
}

TEST(Bitmap4096, BehavesLikeASet) {
  std::mt19937 random(1);
  Storage storage;
  Bitmap4096 bitmap = storage.view();
  std::set<uint32_t> reference;
  for (int step = 0; step < 100'000; ++step) {
    const uint32_t index = random() % (step < 50'000 ? 4096 : 130);
    if (random() % 2 == 0) {
      bitmap.set(index);
      reference.insert(index);
    } else {
      bitmap.clear(index);
      reference.erase(index);
    }
    ASSERT_EQ(bitmap.empty(), reference.empty());
    ASSERT_EQ(bitmap.test(index), reference.count(index) == 1);
    if (!reference.empty()) {
      ASSERT_EQ(lowest(storage), *reference.begin());
    }
    if (step % 1000 == 0) {
      ASSERT_EQ(bitmap.count(), reference.size());
    }
  }
}

TEST(Bitmap4096, TakesTheLowest) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Storage storage;
    Bitmap4096 bitmap = storage.view();
    std::set<uint32_t> reference;
    for (int i = 0; i < 300; ++i) {
      const uint32_t word = random() % 64;
      const uint64_t bits = uint64_t{1} << (random() % 64) | uint64_t{1} << (random() % 64);
      bitmap.set_in_word(word, bits);
      for (uint32_t bit = 0; bit < 64; ++bit) {
        if ((bits >> bit) & 1) reference.insert(word * 64 + bit);
      }
    }
    while (!reference.empty()) {
      const uint32_t wanted = random() % 100;
      std::vector<uint32_t> taken;
      const uint32_t count =
          bitmap.take_lowest(wanted, [&](uint32_t index) { taken.push_back(index); });
      ASSERT_EQ(count, taken.size());
      ASSERT_EQ(count, std::min<size_t>(wanted, reference.size()));
      for (const uint32_t index : taken) {
        ASSERT_EQ(index, *reference.begin());
        reference.erase(reference.begin());
      }
      ASSERT_EQ(bitmap.count(), reference.size());
      const uint64_t summary = bitmap.summary;
      bitmap.rebuild_summary();
      ASSERT_EQ(bitmap.summary, summary);
    }
    EXPECT_TRUE(bitmap.empty());
    EXPECT_EQ(bitmap.take_lowest(5, [](uint32_t) { FAIL(); }), 0u);
  }
}

TEST(Bitmap4096, SummaryCanBeRebuilt) {
  std::mt19937 random(2);
  Storage storage;
  Bitmap4096 bitmap = storage.view();
  for (int i = 0; i < 20; ++i) bitmap.set(random() % 4096);
  const uint64_t summary = bitmap.summary;
  for (const uint64_t wrong : {uint64_t{0}, UINT64_MAX}) {
    bitmap.summary = wrong;
    bitmap.rebuild_summary();
    EXPECT_EQ(bitmap.summary, summary);
  }
  bitmap.reset();
  EXPECT_TRUE(bitmap.empty());
  EXPECT_EQ(bitmap.count(), 0u);
}

}  // namespace
}  // namespace tide::ds
