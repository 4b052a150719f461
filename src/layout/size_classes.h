// Size classes: 16-byte steps up to 128 bytes, then eight to a doubling up to 64 KiB, so that at
// most 12.5 % of a block above 128 bytes is lost to rounding; then, up to 256 KiB, the lengths of
// which two, three and so on to seven fill a slab, for sizes that lose no more than a quarter in
// them: the others have no class, which is 0.
//
// Classes up to kSmallClasses live in the small zone and are multiples of 16; the others live in
// the mid zone and are multiples of 128. A class whose size is a multiple of an alignment A gives
// blocks aligned to A, because slabs are aligned to their own size.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "layout/constants.h"

namespace tide::layout {

inline constexpr uint32_t kClassCount = 87;  // with class 0
inline constexpr uint32_t kSmallClasses = 32;
inline constexpr uint32_t kLastClass = kClassCount - 1;

// Those above 64 KiB, in KiB.
inline constexpr uint32_t kFirstLongClass = 81;
inline constexpr uint32_t kLongKiB[] = {72, 80, 96, 128, 160, 256};

// Bytes of a block of class `c`, 1 <= c <= kLastClass.
constexpr size_t class_bytes(uint32_t c) {
  if (c <= 8) return size_t{16} * c;
  if (c >= kFirstLongClass) return size_t{kLongKiB[c - kFirstLongClass]} << 10;
  const uint32_t doubling = (c - 1) / 8;
  const uint32_t step = (c - 1) % 8 + 1;
  const size_t base = size_t{64} << doubling;
  return base + step * (base / 8);
}

// Of what a request above 64 KiB takes up, this part at most is lost in its class.
inline constexpr size_t kLongLoss = 4;

// The class for each 8 KiB above 64 KiB.
inline constexpr size_t kLongStep = size_t{8} << 10;
inline constexpr auto kLongClasses = [] {
  std::array<uint8_t, (kMidMaxBytes - kClassedMaxBytes) / kLongStep> table{};
  uint32_t c = kFirstLongClass;
  for (size_t i = 0; i < table.size(); ++i) {
    if (kClassedMaxBytes + (i + 1) * kLongStep > class_bytes(c)) ++c;
    table[i] = static_cast<uint8_t>(c);
  }
  return table;
}();

// The smallest class that holds `bytes` and loses no more than may be, or 0; 0 bytes is 1 byte.
constexpr uint32_t class_of(size_t bytes) {
  if (bytes <= 128) return bytes == 0 ? 1 : static_cast<uint32_t>((bytes + 15) / 16);
  if (bytes > kMidMaxBytes) return 0;
  if (bytes > kClassedMaxBytes) {
    const uint32_t c = kLongClasses[(bytes - 1 - kClassedMaxBytes) / kLongStep];
    const size_t least = (bytes + 127) / 128 * 128;  // as the table has it
    return class_bytes(c) - least <= least / kLongLoss ? c : 0;
  }
  const size_t top = bytes - 1;
  const auto log = static_cast<uint32_t>(std::bit_width(top)) - 1;
  return 8 + (log - 7) * 8 + static_cast<uint32_t>((top >> (log - 3)) & 7) + 1;
}

// A request whose class gives blocks aligned to `alignment`, a power of two up to kMidMaxBytes: the
// next multiple of it, whose class, if it has one, is a multiple, too (as is said below).
constexpr size_t bytes_aligned(size_t alignment, size_t bytes) {
  return (bytes + (bytes == 0) + alignment - 1) & ~(alignment - 1);
}

static_assert(class_bytes(kSmallClasses) == kSmallMaxBytes);
static_assert(class_bytes(kLastClass) == kMidMaxBytes);
static_assert(class_of(kSmallMaxBytes) == kSmallClasses && class_of(kMidMaxBytes) == kLastClass);
static_assert(class_bytes(kFirstLongClass - 1) == kClassedMaxBytes);

static_assert([] {
  for (size_t alignment = 32; alignment <= kMidMaxBytes; alignment *= 2) {
    for (size_t bytes = alignment; bytes <= kMidMaxBytes; bytes += alignment) {
      const uint32_t c = class_of(bytes);
      if (c != 0 && class_bytes(c) % alignment != 0) return false;
    }
  }
  return true;
}());

constexpr bool is_small_class(uint32_t c) { return c <= kSmallClasses; }

constexpr unsigned granule_shift(uint32_t c) {
  return is_small_class(c) ? kSmallGranuleShift : kMidGranuleShift;
}

constexpr uint32_t granules_per_block(uint32_t c) {
  return static_cast<uint32_t>(class_bytes(c) >> granule_shift(c));
}

// What is left at the end of a slab is address space that no block touches.
constexpr uint32_t blocks_per_slab(uint32_t c) { return kGranulesPerSlab / granules_per_block(c); }

// The first block that a slab uses, by the slab's number: slabs begin at different offsets, or the
// first blocks of all classes, and their state bytes, would meet in one set of the CPU's caches. A
// step is a cache line of state bytes; what is passed over, at most a sixteenth, stays untouched.
constexpr uint32_t first_block(uint32_t slab, uint32_t c) {
  constexpr uint32_t kOffsets = 8;
  const uint32_t step = (63 + granules_per_block(c)) / granules_per_block(c);
  const uint32_t first = slab % kOffsets * step;
  const uint32_t most = blocks_per_slab(c) / 16;
  return first < most ? first : most;
}

// Most blocks of a class that a thread cache holds as a rule.
constexpr uint32_t usual_slots(uint32_t c) {
  constexpr size_t kBytes = size_t{1} << 20;
  const size_t fit = kBytes / class_bytes(c);
  if (fit > 320) return 320;
  return fit < 16 ? 16 : static_cast<uint32_t>(fit);
}

// Most that one may hold: of small blocks more, for threads that free and take them by the
// thousand.
constexpr uint32_t cache_slots(uint32_t c) {
  constexpr size_t kBytes = size_t{256} << 10;
  constexpr uint32_t kMost = 16384 + 2 * 64;  // and what comes and goes at once
  const auto fit = static_cast<uint32_t>(kBytes / class_bytes(c));
  const uint32_t most = fit < kMost ? fit : kMost;
  return most > usual_slots(c) ? most : usual_slots(c);
}

// Most blocks that move between a thread cache and the rest at once. Of longer ones, of which each
// is touched for longer, fewer do: what is on its way between threads is nobody's.
inline constexpr uint32_t kMaxBatch = 64;
inline constexpr uint32_t kMaxLongBatch = 16;
inline constexpr size_t kBatchBytes = size_t{16} << 10;
// A place for a block's address: in a batch a pointer, in a thread cache's stack an integer.
using BlockSlot __attribute__((may_alias)) = void*;
constexpr uint32_t batch_blocks(uint32_t c) {
  const uint32_t half = usual_slots(c) / 2;
  const auto fit = static_cast<uint32_t>(kBatchBytes / class_bytes(c));
  const uint32_t most = fit > kMaxBatch ? kMaxBatch : fit < kMaxLongBatch ? kMaxLongBatch : fit;
  return half > most ? most : half;
}

// Entries of malloc's tables, see CacheFront: one per byte, and one per (bytes + 127) / 128.
inline constexpr size_t kSmallTableEntries = kSmallMaxBytes + 1;
inline constexpr size_t kMidTableEntries = kMidMaxBytes / 128 + 1;

struct ClassInfo {
  uint32_t bytes;
  uint16_t granules;
  uint16_t blocks_per_slab;
  uint16_t usual_slots;
  uint16_t cache_slots;
  uint16_t batch;
};

inline constexpr auto kClassInfo = [] {
  std::array<ClassInfo, kClassCount> table{};
  for (uint32_t c = 1; c < kClassCount; ++c) {
    table[c] = {
        static_cast<uint32_t>(class_bytes(c)),     static_cast<uint16_t>(granules_per_block(c)),
        static_cast<uint16_t>(blocks_per_slab(c)), static_cast<uint16_t>(usual_slots(c)),
        static_cast<uint16_t>(cache_slots(c)),     static_cast<uint16_t>(batch_blocks(c))};
  }
  return table;
}();

}  // namespace tide::layout
