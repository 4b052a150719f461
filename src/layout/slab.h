// A slab: 4,096 granules of the small or the mid zone that hold blocks of one size class. This
// record lives out of line, in an array indexed by the slab's number; so does the bitmap `free`, in
// an array of its own: one that is all zero needs no memory.
//
//   | not used | block first | ... | block carved-1 | never used ... | rest of a block |
//
// A block is in one of these states:
//   live       state byte of a class or kLiveSpecial
//   cached     state byte kNotLive/kFreeZero, bit in `free` clear: some thread cache, depot or
//              transfer holds it
//   free       bit in `free` set
//   uncarved   index >= carved
// Invariants: I-SLAB-1 first + used + free.count() == carved; I-SLAB-2 a set bit is the granule
// where a carved block starts, and its state byte is kNotLive or kFreeZero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "layout/constants.h"

namespace tide::layout {

// Lists hold slabs by how full they are; the fullest that has room is used first, so that survivors
// stay packed and sparse slabs drain.
// Finer where little is in use: that is what most slabs are after a burst, and where survivors of
// the next one should meet.
inline constexpr uint32_t kFillBins = 8;
inline constexpr uint32_t kFullBin = kFillBins - 1;
inline constexpr uint32_t kHalfBin = 5;  // the first for slabs that are half full or more
// In 32nds of the slab: where each bin begins.
inline constexpr uint8_t kBinBegin[kFillBins + 1] = {0, 1, 2, 4, 8, 16, 24, 32, 33};
static_assert(kBinBegin[kHalfBin] == 16 && kBinBegin[kFullBin] == 32);

inline constexpr uint32_t kNoSlab = UINT32_MAX;

// A slab is this many units for the record of what was given back; a unit is at most an OS page.
inline constexpr size_t kPurgeUnits = 128;

// Whether memory of ours is mapped at a slab's addresses.
enum class Slot : uint8_t {
  kMapped = 0,
  kTaken = 1,     // something else is
  kUnmapped = 2,  // given up when address space ran out; may be mapped again
};

// Which pool of its zone a slab without a class is in.
enum class Pool : uint8_t {
  kNone = 0,
  kDirty = 1,
  kClean = 2,
  kLeaving = 3,  // taken out by whoever gives memory back
};

struct alignas(64) Slab {
  uint8_t size_class;     // 0: in the zone's pool
  uint8_t bin;            // the list it is on
  bool used_before;       // else memory from `carved` on reads as zero
  Slot slot;              // whether its addresses are ours
  uint16_t owner;         // 0: the process's heap; else the id of a first-class heap
  uint16_t granules;      // per block
  uint16_t first;         // blocks before this one are not used, see first_block()
  uint16_t blocks;        // the end of those that are
  uint16_t list_floor;    // with fewer blocks in use it changes its list, or leaves
  uint16_t list_ceiling;  // with as many in use it changes its list
  uint32_t carved;        // blocks [first, carved) were handed out at least once
  uint32_t used;          // blocks that are live or cached
  uint32_t next;          // on its list or in the pool, kNoSlab at the end
  uint32_t previous;
  uint8_t last_class;     // the class before the slab went to the pool, for messages
  uint8_t home;           // of the threads that use it, see thread_cache.h
  bool touched;           // blocks came or went since the last look
  bool resident;          // made so before its first use
  bool no_states;         // the page of its state bytes was given back
  uint8_t fill_at_sweep;  // see heap/engine_trade.h
  uint8_t age;            // looks since that happened, see heap/engine_decay.h
  Pool pool;
  uint64_t purged[kPurgeUnits / 64];  // units known to be given back
  uint64_t free_summary;              // of its bitmap
};

static_assert(sizeof(Slab) == 64, "a cache line");

// Units [first, end) of the slab: whether all of them are known to be given back.
inline bool all_purged(const Slab& slab, size_t first, size_t end) {
  for (size_t unit = first; unit < end; ++unit) {
    if (((slab.purged[unit / 64] >> (unit % 64)) & 1) == 0) return false;
  }
  return true;
}

// The age of a slab whose free pages went back when it was looked at last.
inline constexpr uint8_t kSettled = 255;

// Whether blocks came or went since then, or never went back; from now on it counts as looked at.
inline bool take_news(Slab& slab) {
  if (!base::racy_load(slab.touched) && base::racy_load(slab.age) == kSettled) return false;
  base::racy_store(slab.touched, false);
  base::racy_store(slab.age, kSettled);
  return true;
}

// Says so of them, or takes it back. Returns for how many this is news.
inline size_t set_purged(Slab& slab, size_t first, size_t end, bool value) {
  size_t changed = 0;
  for (size_t unit = first; unit < end; ++unit) {
    const uint64_t bit = uint64_t{1} << (unit % 64);
    const uint64_t word = slab.purged[unit / 64];
    changed += ((word & bit) != 0) != value;
    base::racy_store(slab.purged[unit / 64], value ? word | bit : word & ~bit);
  }
  return changed;
}

}  // namespace tide::layout
