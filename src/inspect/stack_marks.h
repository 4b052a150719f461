// Which parts of a segment are a thread's stack, which its thread-local storage, and which are
// dead: below the stack pointer.
//
// A part is dead only where the segment is sure to be a stack. A thread on another stack (a signal
// handler's, a coroutine's) leaves its own one unmarked: all of it is alive.
#pragma once

#include <cstdint>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

class StackMarks {
 public:
  // Thread null: no thread's.
  struct Part {
    walk::Range range;
    const walk::Thread* thread;
    bool is_thread_local;
  };

  explicit StackMarks(const walk::Target& target);

  // `range`, in the segment of that number, without what is dead.
  std::vector<Part> parts_of(size_t segment, walk::Range range) const;

 private:
  // From there on, up to the next mark or the segment's end.
  struct Mark {
    size_t segment;
    uint64_t address;
    const walk::Thread* thread;
    bool is_thread_local;
    bool is_dead;
  };

  void mark_stack(const walk::Thread& thread);
  void mark_thread_local(const walk::Thread& thread);
  bool is_stack(size_t segment, const walk::Thread& thread) const;
  size_t number_of(uint64_t address) const;

  const walk::Target& target_;
  std::vector<Mark> marks_;  // ascending by address
};

}  // namespace tide::inspect
