// Call stacks of a thread, each defined once in its records and a number from then on.
//
// The table lies behind the ThreadStream. An entry is the upper bits of the stack's hash and, in
// the low ones, its number less those of the tables before; 0: empty. When it has filled up, it is
// emptied: stacks are defined once more, numbers go on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "probe/thread_stream.h"

namespace tide::probe {

inline constexpr uint32_t kStackSlotBits = 12;
inline constexpr uint32_t kStackSlots = 1u << kStackSlotBits;
inline constexpr size_t kStackTableBytes = kStackSlots * sizeof(uint64_t);
inline constexpr size_t kMostFrames = 64;

// Bytes of a record that defines a stack.
inline constexpr size_t kMostStackRecord = format::kMostPlainRecord + kMostFrames * 10;

// The number of the stack with these frames; defines it first, for which kMostStackRecord bytes are
// free in the packet.
uint64_t number_stack(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t tick);

}  // namespace tide::probe
