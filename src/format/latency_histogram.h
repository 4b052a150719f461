// Latencies in buckets: exact below 16, above it 16 buckets for each power of two, so that a bucket
// is at most a sixteenth wide. Of fixed size, for memory that processes share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "format/trace_call.h"

namespace tide::format {

inline constexpr unsigned kLatencyShift = 4;
inline constexpr uint64_t kLatencySteps = uint64_t{1} << kLatencyShift;
inline constexpr unsigned kLatencyTopBit = 40;  // what is longer counts as the longest
inline constexpr size_t kLatencyBuckets = (kLatencyTopBit - kLatencyShift + 2) * kLatencySteps;

constexpr size_t latency_bucket(uint64_t ticks) {
  if (ticks < kLatencySteps) return ticks;
  const auto top = static_cast<unsigned>(std::bit_width(ticks) - 1);
  if (top > kLatencyTopBit) return kLatencyBuckets - 1;
  const unsigned shift = top - kLatencyShift;
  return (size_t{shift} << kLatencyShift) + (ticks >> shift);
}

// The least that falls into the bucket; of one past the last: where the last one ends.
constexpr uint64_t latency_bucket_begin(size_t bucket) {
  if (bucket < 2 * kLatencySteps) return bucket;
  const size_t shift = bucket / kLatencySteps - 1;
  return (kLatencySteps + bucket % kLatencySteps) << shift;
}

// Calls of one sort are told apart by the size of the block, in bands.
inline constexpr uint64_t kLatencyBandEnds[] = {64,    256,   1024,    4096,
                                                16384, 65536, 1 << 20, UINT64_MAX};
inline constexpr size_t kLatencyBands = sizeof kLatencyBandEnds / sizeof kLatencyBandEnds[0];

constexpr size_t latency_band(uint64_t size) {
  size_t band = 0;
  while (size > kLatencyBandEnds[band]) ++band;
  return band;
}
constexpr uint64_t latency_band_begin(size_t band) {
  return band == 0 ? 0 : kLatencyBandEnds[band - 1] + 1;
}

// What is shown apart.
enum class LatencyKind : uint8_t { kMalloc, kCalloc, kRealloc, kAligned, kNew, kFree, kDelete };
inline constexpr size_t kLatencyKinds = 7;
inline constexpr std::string_view kLatencyKindNames[kLatencyKinds] = {
    "malloc", "calloc", "realloc", "aligned", "new", "free", "delete"};

constexpr LatencyKind latency_kind(Call call) {
  switch (call) {
    case Call::kCalloc:
      return LatencyKind::kCalloc;
    case Call::kRealloc:
    case Call::kReallocarray:
      return LatencyKind::kRealloc;
    case Call::kAlignedAlloc:
    case Call::kPosixMemalign:
    case Call::kMemalign:
    case Call::kValloc:
    case Call::kPvalloc:
      return LatencyKind::kAligned;
    case Call::kNew:
    case Call::kNewArray:
    case Call::kNewForm:
      return LatencyKind::kNew;
    case Call::kDelete:
    case Call::kDeleteArray:
    case Call::kDeleteForm:
      return LatencyKind::kDelete;
    case Call::kFree:
    case Call::kFreeSized:
    case Call::kFreeAlignedSized:
      return LatencyKind::kFree;
    default:
      return LatencyKind::kMalloc;
  }
}

struct LatencyHistogram {
  uint64_t longest;
  uint32_t counts[kLatencyBuckets];

  void add(uint64_t ticks) {
    if (ticks > longest) longest = ticks;
    ++counts[latency_bucket(ticks)];
  }
};

using LatencyTable = LatencyHistogram[kLatencyKinds][kLatencyBands];

}  // namespace tide::format
