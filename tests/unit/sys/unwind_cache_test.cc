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
#ifdef __SANITIZE_ADDRESS__
  // Its frames are aligned as they are entered, so their lengths differ from call to call, which a
  // rule cannot say. The recorder is not built with it.
  GTEST_SKIP();
#endif
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

TEST(UnwindCache, UnwindsOnStacksThatItWasNotToldOf) {
  Stacks stacks;
  dive(5, {0, 0}, stacks);
  ASSERT_GE(stacks.known.size(), 6u);
}

}  // namespace
}  // namespace tide::sys
