// The heap of a running process: finds the root in it and reads by that.
#pragma once

#include <memory>
#include <vector>

#include "host/proc.h"
#include "host/process_maps.h"
#include "walk/heap_reader.h"
#include "walk/live_memory.h"
#include "walk/root_finder.h"

namespace tide::walk {

class LiveHeap {
 public:
  // Null: the process does not run on Tide. Throws host::Error when it cannot be read.
  static std::unique_ptr<LiveHeap> open(const host::Proc& proc, RootFinder& finder, int pid,
                                        const std::vector<host::Mapping>& mappings);

  const HeapReader& reader() const { return reader_; }

 private:
  LiveHeap(const host::Proc& proc, int pid, uint64_t root)
      : memory_(proc, pid), reader_(memory_, root) {}

  LiveMemory memory_;
  HeapReader reader_;
};

}  // namespace tide::walk
