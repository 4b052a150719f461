// The numbers that the shape of the heap hangs on. Plain constants: the allocator, the walker and
// the debugger read the same ones.
//
//   small zone   blocks of 1 B to 1 KiB      slabs of  64 KiB = 4,096 granules of  16 B
//   mid zone     blocks of 1 KiB to 256 KiB  slabs of 512 KiB = 4,096 granules of 128 B
//   large zone   blocks of 64 KiB to 32 MiB  spans of 4 KiB pages
//   huge blocks  everything above            a mapping each
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::layout {

// What malloc promises for every block, whatever its size (x86-64 psABI: 16).
inline constexpr size_t kMinAlignment = 16;

inline constexpr unsigned kSlabGranulesShift = 12;
inline constexpr uint32_t kGranulesPerSlab = uint32_t{1} << kSlabGranulesShift;

inline constexpr unsigned kSmallGranuleShift = 4;
inline constexpr unsigned kMidGranuleShift = 7;
inline constexpr size_t kSmallMaxBytes = 1024;
inline constexpr size_t kMidMaxBytes = 256 * 1024;
// Up to here every size has a class; above, those that nearly fill one of a few blocks of a slab.
inline constexpr size_t kClassedMaxBytes = 64 * 1024;
inline constexpr size_t kLargeMaxBytes = size_t{32} << 20;

inline constexpr unsigned kSpanPageShift = 12;
inline constexpr size_t kSpanPageBytes = size_t{1} << kSpanPageShift;

static_assert((size_t{1} << kSmallGranuleShift) == kMinAlignment,
              "a state byte per smallest block, or two blocks would share one");

// One byte per slab: its size class, 0 while it has none. It ends where the zone's state map
// begins, so that one address serves both: class of slab i = state map [i - kClassMapBytes].
inline constexpr size_t kClassMapBytes = size_t{16} << 20;

#ifndef TIDE_DETECTION
#define TIDE_DETECTION 1
#endif
// Whether every double and invalid free is detected. Without it the state map is not kept: only to
// measure what that costs, see docs/design/01-heap.md.
inline constexpr bool kDetects = TIDE_DETECTION != 0;

// One byte per granule of the small and the mid zone: the state map. It answers four questions with
// one load: is this ours, does a block start here, is it live, which size class.
enum BlockState : uint8_t {
  kNotLive = 0,  // no block starts here, or it is free, or cached
  // 1 .. 86 and above 89: a live block of that stack, see stacks.h
  kFreeZero = 87,     // a mid block that is not live and is known to read as zero
  kLiveSpecial = 88,  // a live block that must take the slow path: see Slab::owner
  kRetired = 89,      // freed, but not to be used again yet: see Engine::retire()
};

constexpr bool is_live_state(uint8_t state) {
  return state != kNotLive && state != kFreeZero && state != kRetired;
}

}  // namespace tide::layout
