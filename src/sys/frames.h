// Call stacks by frame pointers: a chain of pairs {frame of the caller, return address} that code
// compiled with -fno-omit-frame-pointer leaves on the stack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "sys/return_address.h"

namespace tide::sys {

// Where the calling thread's stack is, as far as all of it may be read.
struct StackBounds {
  uintptr_t low;
  uintptr_t high;
};

// Reads the list of mappings: slow, but without allocation and locks. `inside` lies on the stack.
StackBounds stack_bounds(uintptr_t inside);

// The same as far as it can be told without that list: of the stack that the process began with,
// and of the upper part of one that the C library gave a thread, which lies right below the
// thread's own memory. What is above any frame between them may be read. {0, 0}: another one, or
// not known.
StackBounds near_stack_bounds(uintptr_t inside, bool is_main_thread);

// Where the stack pointer of the calling function's caller is: what lies below belongs to calls
// from here on. Of a function that is inlined it is the one that it is inlined in.
TIDE_INLINE uintptr_t callers_stack() { return reinterpret_cast<uintptr_t>(__builtin_dwarf_cfa()); }

// Told apart by the hash of their frames.
struct FrameChain {
  size_t count;
  uint64_t hash;
};

inline constexpr uint64_t kFrameFactor = 0x9fb21c651e98df25;
// One frame more.
TIDE_INLINE uint64_t hash_frame(uint64_t hash, uintptr_t frame) {
  return (hash ^ frame) * kFrameFactor;
}

// Writes the return addresses found from `frame` on, the innermost first; at most `most`, which is
// not 0. Reads nothing but the pair at `frame`, which is the caller's own, what `bounds` contain
// above it, and, on a stack that is not between them, the rest of its page. Hashing goes on while
// the next pair is on its way.
TIDE_INLINE FrameChain walk_frames(const void* frame, StackBounds bounds, uintptr_t* frames,
                                   size_t most) {
  constexpr uintptr_t kPair = 2 * sizeof(uintptr_t);
  constexpr uintptr_t kSmallestPage = 4096;
  auto at = reinterpret_cast<uintptr_t>(frame);
  uintptr_t high = bounds.high;
  if (TIDE_UNLIKELY(at < bounds.low || at >= high)) high = (at | (kSmallestPage - 1)) + 1;
  high = at + kPair > high ? at : high - kPair;
  FrameChain chain{0, 0};
  for (;;) {
    const auto* const pair = reinterpret_cast<const uintptr_t*>(at);
    const uintptr_t caller = pair[0];
    const uintptr_t address = plain_return_address(pair[1]);
    if (address < kSmallestPage) return chain;
    frames[chain.count++] = address;
    chain.hash = hash_frame(chain.hash, address);
    // Above the pair, and not above the end: one comparison.
    if (chain.count == most || caller - at - 1 >= high - at || caller % sizeof(uintptr_t) != 0) {
      return chain;
    }
    at = caller;
  }
}

}  // namespace tide::sys
