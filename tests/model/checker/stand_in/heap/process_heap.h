// In place of src/heap/process_heap.h: what comes back is counted block by block.
#pragma once

#include "heap/space.h"

namespace tide::sys {

template <class T>
concept VmSource = true;

}  // namespace tide::sys

namespace tide::heap {

template <class Vm>
struct ProcessHeap {
  bool has[kBlocks] = {};

  void give_to_slabs(Space<Vm>&, uint32_t, void* const* blocks, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const uintptr_t block = reinterpret_cast<uintptr_t>(blocks[i]) >> layout::kSmallGranuleShift;
      checker::require(block != 0 && block < kBlocks, "what was drained is no block");
      Vm::leaves_cache(block);
      has[block] = true;
    }
  }
};

}  // namespace tide::heap
