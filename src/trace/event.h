// An event of a trace as analyses and exports see it: times in nanoseconds, call stacks numbered
// over all threads of the process, the two halves of a realloc known to each other.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/trace_call.h"
#include "format/trace_record.h"

namespace tide::trace {

using format::Call;

// Which of the fields mean something depends on the call, see format/trace_record.h.
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
};

}  // namespace tide::trace
