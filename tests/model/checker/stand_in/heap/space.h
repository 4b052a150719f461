// In place of src/heap/space.h: a state byte for each of a few blocks, whose addresses are their
// numbers times a granule.
#pragma once

#include "layout/thread_cache.h"

namespace tide::heap {

inline constexpr uint32_t kBlocks = 8;

template <class Vm>
struct Zone {
  mutable checker::Racy<uint8_t> bytes[kBlocks];

  checker::Racy<uint8_t>& state_of_shifted(uintptr_t shifted) const { return bytes[shifted]; }
  checker::Racy<uint8_t>* states() const { return bytes; }
  size_t limit() const { return kBlocks; }
  size_t fast_limit() const { return kBlocks; }
  template <unsigned kShift>
  size_t granule_of(const void* p) const {
    return reinterpret_cast<uintptr_t>(p) >> kShift;
  }
  static size_t stack_at(const checker::Racy<uint8_t>*, size_t) { return 0; }
};

template <class Vm>
struct Space {
  Zone<Vm> small;
  Zone<Vm> mid;
};

}  // namespace tide::heap
