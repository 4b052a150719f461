// Which stack of a thread cache a block belongs to. The same number is in the class map for the
// block's slab, and in the state byte of a live block.
//
// Mostly it is the size class. Blocks of less than a cache line have neighbours in theirs, so each
// home has a stack of its own for them: what a thread frees for another home waits in a stack of
// that home's, which malloc never takes from, and goes there by the batch. Otherwise two threads
// that free neighbours would go on with them, and write one line for good ("passive false sharing",
// Berger et al., Hoard, 2000).
#pragma once

#include <array>
#include <cstdint>

#include "layout/constants.h"
#include "layout/size_classes.h"

namespace tide::layout {

// Threads of different homes take small blocks from different slabs, so that they do not write the
// same cache lines: neither of blocks nor of state bytes.
inline constexpr uint32_t kHomes = 16;

// Classes of less than a cache line: 16, 32 and 48 bytes.
inline constexpr uint32_t kSharingClasses = 3;
static_assert(class_bytes(kSharingClasses) < 64 && class_bytes(kSharingClasses + 1) >= 64);

inline constexpr uint32_t kFirstHomeStack = kRetired + 1;
inline constexpr uint32_t kHomeStacks = kHomes * kSharingClasses;
// One per value of the state byte, so that free needs no test for "not live": the stacks of 0,
// kFreeZero and kLiveSpecial are always full.
inline constexpr uint32_t kCacheStacks = kFirstHomeStack + kHomeStacks;
static_assert(kLiveSpecial < kFirstHomeStack && kCacheStacks <= 256);

constexpr uint8_t stack_of(uint32_t c, uint32_t home) {
  const uint32_t stack =
      c == 0 || c > kSharingClasses ? c : kFirstHomeStack + home * kSharingClasses + c - 1;
  return static_cast<uint8_t>(stack);
}

// The size class of a stack's blocks; 0 for a number that is no stack of blocks.
constexpr uint32_t class_of_stack(uint32_t stack) {
  if (stack >= kFirstHomeStack && stack < kCacheStacks) {
    return (stack - kFirstHomeStack) % kSharingClasses + 1;
  }
  return stack > kSharingClasses && stack < kClassCount ? stack : 0;
}

// Bytes of a stack's blocks. Index: stack.
inline constexpr auto kStackBytes = [] {
  std::array<uint32_t, kCacheStacks> table{};
  for (uint32_t stack = 0; stack < table.size(); ++stack) {
    const uint32_t c = class_of_stack(stack);
    table[stack] = c == 0 ? 0 : static_cast<uint32_t>(class_bytes(c));
  }
  return table;
}();

// The home that a stack's blocks go back to; only for classes up to kSharingClasses.
constexpr uint32_t home_of_stack(uint32_t stack) {
  return (stack - kFirstHomeStack) / kSharingClasses;
}

}  // namespace tide::layout
