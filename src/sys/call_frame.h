// What a call's debug information says of its caller's frame: where that begins, and where the
// caller's frame pointer is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "sys/frames.h"

namespace tide::sys {

enum class FrameKind : uint8_t {
  kUnknown,  // none of the others, or in words that are not understood here
  kOfStack,  // `words` above the stack pointer
  kOfFrame,  // two words above where the frame pointer points
  // The frame was aligned as it was entered, so that its length differs from call to call; where
  // the caller's begins is in a word of its own, `words` below where the frame pointer points.
  kAligned,
  kOutermost,  // nobody called it: a thread or the program began there
};

// In words of eight bytes.
struct CallFrame {
  FrameKind kind;
  uint16_t words;
  uint16_t saved_words;  // from the caller's frame down to its frame pointer; 0: it is the same
};

// Of the function that goes on at `return_address`. As the unwinder, it may wait for the loader.
CallFrame read_call_frame(uintptr_t return_address);

// Of a function that has called another.
struct FramePlace {
  uintptr_t address;  // what is called from there returns to it
  uintptr_t stack;    // the stack pointer then
  uintptr_t frame;    // the frame pointer
};

inline constexpr size_t kStackWord = sizeof(uintptr_t);

// Where the function is that has called the one that this stands in, which must not be inlined.
TIDE_INLINE TIDE_READS_ANY_STACK FramePlace callers_place() {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return {reinterpret_cast<uintptr_t>(__builtin_return_address(0)), here + 2 * kStackWord,
          *reinterpret_cast<const uintptr_t*>(here)};
}

// follow() for a frame of kind kAligned.
template <class Frame>
TIDE_NOINLINE TIDE_READS_ANY_STACK bool follow_aligned(Frame frame, FramePlace& at,
                                                       StackBounds bounds) {
  const uintptr_t where = at.frame - frame.words * kStackWord;
  if (where < at.stack || where >= bounds.high || where % kStackWord != 0) return false;
  const uintptr_t next = *reinterpret_cast<const uintptr_t*>(where);
  if (next <= at.frame || next > bounds.high || next % kStackWord != 0) return false;
  at.frame = *reinterpret_cast<const uintptr_t*>(at.frame);
  at.stack = next;
  return true;
}

// Goes on to the caller's stack and frame pointer; its address is a word below that stack. `Frame`
// is a CallFrame of known kind, or has what it has. False: nowhere on the stack.
template <class Frame>
TIDE_INLINE TIDE_READS_ANY_STACK bool follow(Frame frame, FramePlace& at, StackBounds bounds) {
  uintptr_t next = at.stack + frame.words * kStackWord;
  if (frame.kind != FrameKind::kOfStack) {
    if (frame.kind == FrameKind::kAligned) return follow_aligned(frame, at, bounds);
    next = at.frame + 2 * kStackWord;
  }
  if (next <= at.stack || next > bounds.high || next % kStackWord != 0) return false;
  if (frame.saved_words != 0) {
    at.frame = *reinterpret_cast<const uintptr_t*>(next - frame.saved_words * kStackWord);
  }
  at.stack = next;
  return true;
}

}  // namespace tide::sys
