// Where events come from: a process of a trace, a file of another program, or another source with
// something done to its events.
#pragma once

#include <cstdint>
#include <string>

#include "trace/event.h"

namespace tide::trace {

class LiveTable;
class StackTable;
class SymbolTable;

// Who the events are of.
struct ProcessIdentity {
  uint32_t number = 1;
  int64_t pid = 0;
  int64_t parent = 0;
  std::string program;    // path, as far as it is known
  std::string ended;      // how, in words; empty: not known
  uint64_t start_ns = 0;  // CLOCK_REALTIME at time 0 of its events; 0: not known
  uint64_t lost_events = 0;
};

// What was strange, with the numbers of events.
struct Oddities {
  uint64_t unknown_releases = 0;  // of blocks from before the recording, or lost
  uint64_t missed_releases = 0;   // the address was given out again
  uint64_t reordered = 0;         // events that waited for those that caused them
  uint64_t damaged_chunks = 0;    // left out, because of `salvage`
};

class EventSource {
 public:
  virtual ~EventSource() = default;

  // The next event, in the order of time; it and its text stay until the next call. Null: the end.
  // Throws host::Error, with file and offset.
  virtual const Event* next() = 0;

  // What is live after the last event.
  virtual const LiveTable& live() const = 0;
  virtual const StackTable& stacks() const = 0;
  virtual const SymbolTable& symbols() const = 0;
  virtual const ProcessIdentity& process() const = 0;
  virtual Oddities oddities() const = 0;
  // From 0 to 1, for a bar.
  virtual double progress() const { return 0; }
};

}  // namespace tide::trace
