#include "sys/unwind_cache.h"

#include <alloca.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/compiler.h"
#include "sys/stack.h"

namespace tide::sys {
namespace {

constexpr size_t kMost = 48;

struct Stacks {
  std::vector<uintptr_t> known;
  std::vector<uintptr_t> unwound;
};

// Both from here: the first addresses of the second are of capture_stack() and of this function.
TIDE_NOINLINE void take(StackBounds bounds, Stacks& stacks) {
  stacks.known.resize(kMost);
  stacks.known.resize(capture_known_stack(bounds, stacks.known.data(), kMost));
  stacks.unwound.resize(kMost + 1);
  stacks.unwound.resize(capture_stack(stacks.unwound.data(), kMost + 1));
}

// Frames of a fixed size, of one that only a frame pointer tells, and of aligned memory.
TIDE_NOINLINE void dive(int depth, StackBounds bounds, Stacks& stacks) {
  if (depth == 0) return take(bounds, stacks);
  volatile char fixed[48];
  fixed[depth % 48] = 1;
  if (depth % 3 == 0) {
    auto* const memory = static_cast<volatile char*>(alloca(static_cast<size_t>(depth) * 40 + 8));
    memory[0] = 1;
    dive(depth - 1, bounds, stacks);
    memory[1] = memory[0];
  } else {
    alignas(64) volatile char aligned[64];
    aligned[0] = 1;
    dive(depth - 1, bounds, stacks);
    aligned[1] = aligned[0];
  }
  fixed[0] = fixed[1];
}

// From the caller of take() on; in front there is what called the unwinder.
void expect_alike(const Stacks& stacks) {
  ASSERT_GE(stacks.unwound.size(), 3u);
  const auto caller = std::find(stacks.known.begin(), stacks.known.end(), stacks.unwound[2]);
  ASSERT_NE(caller, stacks.known.end());
  const size_t inner = static_cast<size_t>(caller - stacks.known.begin());
  for (size_t i = 0; inner + i < stacks.known.size() && i + 2 < stacks.unwound.size(); ++i) {
    ASSERT_EQ(stacks.known[inner + i], stacks.unwound[i + 2]) << "frame " << i;
  }
}

TEST(UnwindCache, WalksAsTheUnwinderDoes) {
  const StackBounds bounds = stack_bounds(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  ASSERT_NE(bounds.high, 0u);
  Stacks stacks;
  for (int round = 0; round < 3; ++round) {
    for (int depth = 0; depth < 70; ++depth) {
      dive(depth, bounds, stacks);
      expect_alike(stacks);
      // What has been learned is walked without the unwinder, so that its caller is not among it.
      if (depth == 0) EXPECT_EQ(stacks.known[1], stacks.unwound[2]);
    }
    if (round == 1) forget_known_stacks();
  }
}

// Arguments on the stack and memory of a large alignment: such a function aligns its frame as it is
// entered and keeps in it where its caller's is. The frame's length differs from call to call.
TIDE_NOINLINE void enter_aligned(StackBounds bounds, Stacks& stacks, int a, int b, int c, int d,
                                 int e, int f, int g) {
  alignas(256) volatile char aligned[256];
  aligned[(a + b + c + d + e + f + g) % 256] = 1;
  const size_t bytes = static_cast<size_t>(a) * 16 + 16;
  auto* const memory = static_cast<volatile char*>(alloca(bytes));
  memory[0] = aligned[0];
  take(bounds, stacks);
  aligned[0] = memory[0];
}
// Its caller is below memory full of `word`.
TIDE_NOINLINE void enter_at(size_t words, uintptr_t word, StackBounds bounds, Stacks& stacks) {
  auto* const memory = static_cast<volatile uintptr_t*>(alloca(words * sizeof word));
  for (size_t i = 0; i < words; ++i) memory[i] = word;
  enter_aligned(bounds, stacks, static_cast<int>(words % 7), 2, 3, 4, 5, 6, 7);
  memory[0] = memory[1];
}

TEST(UnwindCache, WalksFramesThatAlignThemselves) {
  const StackBounds bounds = stack_bounds(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  Stacks stacks;
  take(bounds, stacks);
  ASSERT_LT(stacks.unwound.size(), kMost);
  // A wrong step into this would look like the end of the stack.
  const uintptr_t last = stacks.unwound.back();
  for (int round = 0; round < 2; ++round) {
    for (size_t words = 64; words <= 128; words += 2) {
      enter_at(words, last, bounds, stacks);
      expect_alike(stacks);
      ASSERT_EQ(stacks.known.back(), last);
      ASSERT_GE(stacks.known.size(), stacks.unwound.size() - 2);
    }
  }
}

TEST(UnwindCache, UnwindsOnStacksThatItWasNotToldOf) {
  Stacks stacks;
  dive(5, {0, 0}, stacks);
  ASSERT_GE(stacks.known.size(), 6u);
}

}  // namespace
}  // namespace tide::sys
