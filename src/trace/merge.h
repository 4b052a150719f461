// The events of a process's threads in one order, in which no block goes before it came and no
// address is given out twice.
//
// The order is that of time, but clocks of two CPUs may differ by a little. A release of a block
// that is not there waits, with all that its thread does later, until another thread's allocation
// brings the block; an allocation at an address that is not free waits for the release. After
// kPatienceNs of the others' time nobody waits any longer: the block came before the recording, or
// the event was lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "trace/event.h"
#include "trace/event_source.h"
#include "trace/live_table.h"
#include "trace/plain_record.h"

namespace tide::trace {

// One thread's events in its own order. The halves of a realloc are not joined, and what Event says
// of slots and blocks that go is not filled in.
class ThreadStream {
 public:
  // Records that next() would give now. Who takes one that is plain moves `at`; thread and tid are
  // those of the event before.
  struct Ready {
    const PlainRecord* at = nullptr;  // times in nanoseconds
    const PlainRecord* end = nullptr;
    std::span<const uint32_t> stacks;  // in StackTable, by the thread's own numbers
  };

  virtual ~ThreadStream() = default;
  // False at the end. What is in `event` is the one before; only what the call has is written.
  virtual bool next(Event& event) = 0;
  // Not later than its first event: it need not be asked for one before that.
  virtual uint64_t first_time_ns() const { return 0; }
  Ready& ready() { return ready_; }

 protected:
  Ready ready_;  // for who has none: empty
};

// All that a plain record says of its event; of what it has not nothing is written.
inline void take_plain(const PlainRecord& plain, std::span<const uint32_t> stacks, Event& event) {
  event.call = plain.call;
  event.path = plain.path;
  event.has_size = plain.has_size;
  event.stack = plain.stack < stacks.size() ? stacks[plain.stack] : 0;
  event.time_ns = plain.time;
  event.pointer = plain.pointer;
  event.size = plain.size;
  event.usable = plain.usable;
}

class Merge {
 public:
  static constexpr uint64_t kPatienceNs = 1'000'000;

  Merge();
  ~Merge();

  void add(std::unique_ptr<ThreadStream> thread);
  // As EventSource::next().
  const Event* next();

  const LiveTable& live() const { return live_; }
  const Oddities& oddities() const { return oddities_; }

 private:
  struct Thread;
  using Waiting = std::unordered_multimap<uint64_t, Thread*>;  // by pointer
  struct Later {
    bool operator()(const Thread* a, const Thread* b) const;
  };

  const Event* next_plain();
  const Event* next_any();
  Thread* pick();
  void push(Thread* thread);
  Thread* exchange(Thread* thread);
  bool advance(Thread& thread);
  // False: the event has to wait for its pointer.
  bool apply(Thread& thread);
  bool come(Thread& thread, uint32_t slot);
  void vanish(Thread& thread);
  bool go(Thread& thread);
  bool look(Thread& thread);
  bool begin_move(Thread& thread);
  bool end_move(Thread& thread);
  void put_back(Thread& thread);
  bool may_wait(const Thread& thread) const;
  void wait(Thread& thread);
  void wake(uint64_t pointer);
  void stop_waiting(Waiting::iterator found);
  void lose_patience(Thread* thread);

  LiveTable live_;
  Oddities oddities_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Thread*> heap_;         // the earliest on top
  Thread* current_ = nullptr;         // whose event was given out last; not in the heap
  Thread* after_vanished_ = nullptr;  // whose event comes after a kNone
  Waiting waiting_;
  std::multimap<uint64_t, Thread*> patience_;  // by the time until which it waits
  uint64_t last_ns_ = 0;
  Event vanished_{};
};

}  // namespace tide::trace
