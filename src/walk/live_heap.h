// The heap of a running process, which is not stopped: finds the root in it and reads by that.
#pragma once

#include <memory>

#include "walk/heap_reader.h"
#include "walk/live_target.h"

namespace tide::walk {

class LiveHeap {
 public:
  // Null: the process does not run on Tide. Throws host::Error when it cannot be read.
  static std::unique_ptr<LiveHeap> open(int pid);

  const HeapReader& reader() const { return reader_; }
  const MemorySource& memory() const { return *target_; }

 private:
  LiveHeap(std::unique_ptr<LiveTarget> target, uint64_t root)
      : target_(std::move(target)), reader_(*target_, root) {}

  std::unique_ptr<LiveTarget> target_;
  HeapReader reader_;
};

}  // namespace tide::walk
