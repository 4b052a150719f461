// Call stacks of a thread, each defined once in its records and a number from then on.
//
// The table lies behind the ThreadStream. An entry is the upper bits of the stack's hash and, in
// the low ones, its number less those of the tables before; 0: empty. When it has filled up, it is
// emptied: stacks are defined once more, numbers go on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "probe/thread_stream.h"

namespace tide::probe {

inline constexpr uint32_t kStackSlotBits = 12;
inline constexpr uint32_t kStackSlots = 1u << kStackSlotBits;
inline constexpr size_t kStackTableBytes = kStackSlots * sizeof(uint64_t);
inline constexpr size_t kMostFrames = 64;

// Bytes of a record that defines a stack.
inline constexpr size_t kMostStackRecord = format::kMostPlainRecord + kMostFrames * 10;

// Defines the stack, for which kMostStackRecord bytes are free in the packet, and returns its
// number.
uint64_t define_stack(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t hash,
                      uint64_t tick);

// The number of the stack with these frames and that hash, which is mixed; defines it if need be.
TIDE_INLINE uint64_t number_stack(ThreadStream& stream, const uintptr_t* frames, size_t count,
                                  uint64_t hash, uint64_t tick) {
  constexpr uint64_t kNumberMask = kStackSlots - 1;
  // 0: what stands in the table is another thread's.
  if (TIDE_LIKELY(stream.stacks_here != 0)) {
    const auto* const table = reinterpret_cast<const uint64_t*>(&stream + 1);
    size_t slot = hash >> (64 - kStackSlotBits);
    for (; table[slot] != 0; slot = (slot + 1) % kStackSlots) {
      if ((table[slot] ^ hash) <= kNumberMask) {
        return stream.stacks_before + (table[slot] & kNumberMask);
      }
    }
  }
  return define_stack(stream, frames, count, hash, tick);
}

}  // namespace tide::probe
