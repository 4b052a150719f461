// What a call's debug information says of its caller's frame: where that begins, and where the
// caller's frame pointer is.
#pragma once

#include <cstdint>

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

}  // namespace tide::sys
