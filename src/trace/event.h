// An event of a trace as analyses and exports see it: times in nanoseconds, call stacks numbered
// over all threads of the process, the two halves of a realloc known to each other.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/trace_call.h"
#include "format/trace_record.h"

namespace tide::trace {

using format::Call;

// A block that goes with an event, as it was when it came.
struct GoneBlock {
  bool is_known;  // else it came before the recording, or was lost
  uint32_t slot;
  uint32_t thread;
  uint32_t stack;
  uint64_t time_ns;
  uint64_t size;
  uint64_t usable;
};

// Which of the fields mean something depends on the call, see format/trace_record.h. kNone is a
// block that must have gone, because its address was given out again, though no release was
// recorded.
struct Event {
  Call call;
  format::Path path;
  bool has_size;         // a sized delete
  uint32_t thread;       // number in its process, from 1
  int32_t tid;           // the system's
  uint32_t stack;        // in StackTable of the process; 0: none
  uint64_t time_ns;      // since the recording began
  uint64_t pointer;      // the block that came, or that goes; 0: the call failed
  uint64_t size;         // that was asked for
  uint64_t usable;       // of a block that came; at least the size
  uint64_t old_pointer;  // kReallocDone, kMremapDone: of their first half; then size and extras too
  uint64_t extras[4];
  std::string_view text;  // until the next event
  uint32_t slot;          // of a block that came: its number in LiveTable
  GoneBlock gone;  // of a release, of a realloc's halves, of kNone; not of a failed kReallocDone.
                   // Of Note::kTouched the block that it is about, which stays
};

inline bool is_note(const Event& event, format::Note note) {
  return event.call == Call::kNote && event.extras[0] == static_cast<uint64_t>(note);
}

// Whether a block came with it.
inline bool came(const Event& event) {
  if (event.pointer == 0) return false;
  return format::allocates(event.call) || is_note(event, format::Note::kLive);
}

}  // namespace tide::trace
