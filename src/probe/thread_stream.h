// What a thread needs to record: where its next record goes. One for each thread, in memory that
// reads as zero in a forked child: there `cursor` has reached `limit`, so that the first event
// takes the slow path, which sees by `number` that this is a new process.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/trace_arena.h"
#include "format/trace_record.h"
#include "sys/frames.h"

namespace tide::probe {

// ThreadStream::busy. Any other value is the frame of a call that may end by an exception: the
// thread is in it as long as its frames are below.
enum Busy : uintptr_t {
  kIdle = 0,
  kWriting = 1,  // a record is in the making: who comes now is a signal handler
  kInCall = 2,   // in a call that is recorded
  kClosed = 3,   // nothing can be recorded here yet, or ever
};

// An allocation inside of a call that is recorded.
struct NestedBlock {
  format::Call call;
  bool has_extra;
  uint64_t pointer;
  uint64_t size;
  uint64_t slack;
  uint64_t extra;
};
inline constexpr uint32_t kMostNested = 4;

// An operator new.
struct Attempt {
  format::Call call;
  bool has_form;
  uint32_t form;  // of format::NewForm
  uint64_t size;
  uint64_t alignment;  // 0: without one
};

// What every event touches is one cache line, and no other thread's.
struct alignas(64) ThreadStream {
  format::RecordCursor cursor;
  // A record without texts fits as long as the cursor is below. Null when every record needs the
  // slow path: for want of a packet, or because call stacks belong to it.
  uint8_t* limit;
  format::PacketHead* head;
  uintptr_t busy;
  uint32_t nested_count;  // below
  uint64_t hidden;        // an allocation of the allocator's own, see record_nested(); 0: none

  // Only the slow path looks at what follows.
  uint8_t* end;     // of the packet
  uint32_t packet;  // its index
  uint32_t number;  // of the thread; 0: not registered
  int32_t tid;
  uint32_t sequence;    // of the next packet
  uint64_t lost;        // events that are in no record yet
  uint32_t full_since;  // TraceArena::freed when no packet was to be had
  bool is_full;         // since then
  ThreadStream* next;   // in the list that it is in
  sys::StackBounds stack;

  // Call stacks that have numbers: see stack_numbers.h.
  uint64_t stacks_before;  // numbers given before the table was emptied last
  uint32_t stacks_here;
  uint32_t table_bytes;  // of room for them

  NestedBlock nested[kMostNested];

  // The operator new that the thread is in, should it end by an exception.
  Attempt attempt;

  // What a thread that is being made will run.
  void* (*routine)(void*);
  void* argument;
};

static_assert(offsetof(ThreadStream, end) <= 64);

inline uint8_t* records_of(format::PacketHead* head) {
  return reinterpret_cast<uint8_t*>(head + 1);
}

}  // namespace tide::probe
