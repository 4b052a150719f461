// The order in which locks are taken: a thread that holds one may wait only for locks that stand
// below it here. In check builds (TIDE_CHECK >= 1) each thread notes the ranks that it holds, and a
// lock out of order, or a second one of its rank, ends the process with one line. In release
// builds a rank is a part of the type and nothing else.
#pragma once

#include <bit>
#include <cstdint>

#include "base/check.h"
#include "base/compiler.h"
#include "base/text.h"
#include "sys/report.h"

namespace tide::ds {

enum class Rank : uint8_t {
  kOptions,     // the options and what follows from them
  kStart,       // the engine's start
  kPurge,       // who gives memory back
  kHeapPurge,   // the purge of slabs of a first-class heap, and its end
  kDrain,       // who takes blocks out of other threads' caches
  kLarge,       // spans; a visitor of blocks may allocate small ones
  kHuge,        // mappings of their own
  kCaches,      // the list of thread caches
  kHeaps,       // the table of first-class heaps
  kSlabs,       // of a size class, or of a first-class heap
  kZone,        // the slabs of no class
  kMetadata,    // records
  kQuarantine,  // hardened mode
  kGuards,      // sampled blocks
  kSamples,     // of profiles
  kTrace,       // what is recorded about the process itself
};

inline constexpr const char* kRankNames[] = {
    "options", "start", "purge", "heap purge", "drain",      "large",  "huge",    "caches",
    "heaps",   "slabs", "zone",  "metadata",   "quarantine", "guards", "samples", "trace"};

#if TIDE_CHECK >= 1
// A bit per rank.
inline constinit thread_local uint32_t t_ranks_held = 0;

[[noreturn]] TIDE_COLD inline void report_lock_order(Rank wanted) {
  const auto highest = static_cast<uint32_t>(std::bit_width(t_ranks_held)) - 1;
  base::TextBuffer<160> line;
  line.text("lock order: the lock \"").text(kRankNames[static_cast<uint32_t>(wanted)]);
  line.text("\" is taken while \"").text(kRankNames[highest]).text("\" is held");
  sys::fatal(line.view());
}

// Before waiting for a lock. One that is only tried for can't deadlock.
inline void check_rank(Rank rank) {
  if (t_ranks_held >> static_cast<uint32_t>(rank) != 0) report_lock_order(rank);
}
inline void rank_taken(Rank rank) { t_ranks_held |= 1u << static_cast<uint32_t>(rank); }
inline void rank_left(Rank rank) { t_ranks_held &= ~(1u << static_cast<uint32_t>(rank)); }
#else
inline void check_rank(Rank) {}
inline void rank_taken(Rank) {}
inline void rank_left(Rank) {}
#endif

}  // namespace tide::ds
