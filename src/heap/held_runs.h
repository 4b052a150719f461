// Runs of free blocks that are being given back. Their bits are off meanwhile, as if somebody had
// allocated the blocks; the list is in the engine, so that a forked child can put them back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/racy.h"

namespace tide::heap {

// Blocks [first, end) of a slab and the whole OS pages in them, as offsets into the slab.
struct HeldRun {
  uint32_t slab;
  uint16_t first;
  uint16_t end;
  uint32_t page_begin;
  uint32_t page_end;
  uint32_t counted;  // bytes that leave the footprint with them
};

struct HeldRuns {
  static constexpr uint32_t kMost = 256;

  bool is_full() const { return count == kMost; }

  // Before the bits go off.
  void add(const HeldRun& run) {
    runs[count] = run;
    bytes += run.page_end - run.page_begin;
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(count, count + 1);
  }
  HeldRun& last() { return runs[count - 1]; }
  void clear() {
    base::racy_store(count, 0u);
    bytes = 0;
  }

  bool in_mid;  // whose slabs they are
  uint32_t count;
  size_t bytes;
  HeldRun runs[kMost];
};

}  // namespace tide::heap
