// How many allocations the guards take: about one in TIDE_GUARD_RATE, whichever way they are made.
// The test runs with a rate of 10,000.
#include <malloc.h>
#include <cstdlib>

#include <vector>

#include <gtest/gtest.h>

namespace {

constexpr int kRounds = 5'000;
constexpr int kExpected = 100;

// Of a million calls: a thousand blocks stay, so that caches run full and empty around them, and
// between the rounds each of 200 is freed and taken, with many free ones at hand. The usable size
// of a block against a guard page is what was asked for; no size class has `bytes`.
template <class Allocate>
int guarded_of_million(size_t bytes, Allocate allocate) {
  std::vector<void*> blocks(1'000);
  int guarded = 0;
  const auto take = [&](void*& block) {
    block = allocate(bytes);
    guarded += malloc_usable_size(block) == bytes ? 1 : 0;
  };
  for (void*& block : blocks) take(block);
  for (int round = 0; round < kRounds; ++round) {
    const size_t first = static_cast<size_t>(round) * 200 % blocks.size();
    if (round % 2 == 0) {
      for (size_t i = 0; i < 200; ++i) free(blocks[first + i]);
      for (size_t i = 0; i < 200; ++i) take(blocks[first + i]);
    } else {
      for (size_t i = 0; i < 200; ++i) {
        free(blocks[first + i]);
        take(blocks[first + i]);
      }
    }
  }
  for (void* block : blocks) free(block);
  return guarded;
}

TEST(GuardRate, OfMalloc) {
  // Of what caches hold by themselves nobody sees each call: at most the rate.
  EXPECT_LT(guarded_of_million(60, malloc), kExpected * 3);
}
TEST(GuardRate, OfCalloc) {
  const auto zeroed = [](size_t bytes) { return calloc(1, bytes); };
  EXPECT_LT(guarded_of_million(60, zeroed), kExpected * 3);
  EXPECT_LT(guarded_of_million(1'900, zeroed), kExpected * 3);
  EXPECT_LT(guarded_of_million(3'900, zeroed), kExpected * 3);
}
TEST(GuardRate, OfBatches) {
  std::vector<void*> blocks(100'000);
  int guarded = 0;
  for (int round = 0; round < 10; ++round) {
    for (void*& block : blocks) {
      block = malloc(60);
      guarded += malloc_usable_size(block) == 60 ? 1 : 0;
    }
    for (void* block : blocks) free(block);
  }
  EXPECT_GT(guarded, kExpected / 3);
  EXPECT_LT(guarded, kExpected * 3);
}

}  // namespace
