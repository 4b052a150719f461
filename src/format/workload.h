// Workloads (.tidew): what each thread of a program did to its allocator, ready to be done again.
//
// The file is a WorkloadHead, blocks of operations, and at WorkloadHead::index the index: a
// WorkloadThread for each thread, a WorkloadBlock for each block, those of the first thread first,
// a WorkloadSample for each moment that the program's memory was looked at, the touches of each
// thread, the paths of the allocator and of the program. All numbers low byte first, all structures
// as they lie in memory.
//
// An operation works on a slot, which is the number of a block while it is live. No slot is used
// twice at once, and there are at most some more slots than blocks were live at the peak. What one
// thread needs of another it says: "thread T has done K operations". That is so for each release or
// realloc of a block that another thread made ("handed over"), unless an earlier operation of the
// thread has waited for as much; and for allocations at a slot that another thread has emptied
// ("slot taken over"), which a program that never ran out of numbers would not have to wait for.
//
// A block's payload, once decompressed with zstd, is the uint32 lengths of its columns and then the
// columns:
//   kinds     a byte an operation: format::Call (of the two halves of a realloc only kRealloc), and
//             WorkloadFlag
//   times     varint: nanoseconds since the thread's operation before it, for its first: since the
//             workload began
//   slots     varint: zigzag difference to the slot of the operation before it in the block; not
//             with kNoSlot
//   sizes     varint, of what has one: allocations, and releases with kHasSize
//   slacks    varint: usable bytes less the size, of allocations
//   extras    varint: alignment as its power of two for the aligned ones, kFreeAlignedSized and
//             forms with kFormAligned; the count for calloc and reallocarray (the size is the
//             product); NewForm for the forms, before the alignment
//   waits     two varints: index of the thread, operations; with kWaits
//
// Touches say how much of a large block the program wrote, as far as it is not all of it: for each
// such allocation of a thread, in the order of its operations, two varints: how many operations
// were between it and the one before it in the list (the first: before it), and the bytes plus one;
// 0: not known. Blocks of at least kTouchedFrom bytes that are not in the list were touched as a
// whole, if WorkloadHead::flags says kTouchesRecorded.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::format {

inline constexpr char kWorkloadMagic[8] = {'t', 'i', 'd', 'e', 'w', 'k', 'l', '1'};
inline constexpr uint32_t kWorkloadVersion = 2;

enum WorkloadFlag : uint8_t {
  kWaits = 0x20,    // for another thread
  kNoSlot = 0x40,   // of a release: the pointer is null; of a realloc: there is no old block
  kHasSize = 0x80,  // of a release
};
inline constexpr uint8_t kWorkloadCall = 0x1f;

enum WorkloadHeadFlag : uint32_t {
  kTouchesRecorded = 1,
};

enum WorkloadColumn : size_t {
  kKinds,
  kTimes,
  kSlots,
  kSizes,
  kSlacks,
  kExtras,
  kWaitsFor,
};
inline constexpr size_t kWorkloadColumns = kWaitsFor + 1;

struct WorkloadHead {
  char magic[8];
  uint32_t version;
  uint32_t head_bytes;  // of this structure
  uint32_t threads;
  uint32_t slots;
  uint64_t operations;
  uint64_t allocations;  // that succeed, with reallocs
  uint64_t releases;     // without those of null
  uint64_t peak_blocks;
  uint64_t peak_bytes;   // that were asked for
  uint64_t live_blocks;  // at the end
  uint64_t live_bytes;
  uint64_t duration_ns;
  uint64_t handed_over;    // operations that wait for what another thread made
  uint64_t slots_taken;    // that wait for an empty slot
  uint64_t left_out;       // events: failed calls, releases of unknown blocks
  uint64_t lost_events;    // of the recording
  uint64_t rss_max_bytes;  // of the program when it was recorded; 0: not known
  uint64_t cpu_ns;         // that all its threads took,
  uint64_t sampled_ns;     // in that time; 0: not known
  uint64_t blocks;
  uint32_t samples;
  uint32_t flags;            // WorkloadHeadFlag
  uint32_t allocator_bytes;  // of its path; 0: not known
  uint32_t program_bytes;
  uint64_t index;  // offset
  uint64_t index_bytes;
  uint32_t index_crc;  // CRC-32 as zlib's
  uint32_t head_crc;   // of all before it
};
static_assert(sizeof(WorkloadHead) == 192);

// How many of the program's threads ran at once, on average; 0: not known.
constexpr double recorded_parallelism(const WorkloadHead& head) {
  if (head.sampled_ns == 0) return 0;
  return static_cast<double>(head.cpu_ns) / static_cast<double>(head.sampled_ns);
}

struct WorkloadThread {
  uint32_t number;  // in the program, from 1
  int32_t tid;      // the system's
  uint32_t blocks;
  uint32_t touch_bytes;
  uint64_t operations;
  uint64_t begin_ns;  // of its first operation
  uint64_t end_ns;    // of its last
};
static_assert(sizeof(WorkloadThread) == 40);

struct WorkloadBlock {
  uint64_t offset;
  uint32_t stored_bytes;
  uint32_t plain_bytes;
  uint32_t operations;
  uint32_t crc;  // of the stored bytes
};
static_assert(sizeof(WorkloadBlock) == 24);

// What the program had at a moment. Memory that it shares with others is not in it.
struct WorkloadSample {
  uint64_t time_ns;
  uint64_t rss_bytes;        // anonymous memory and files
  uint64_t anonymous_bytes;  // of that
  uint64_t vm_bytes;
  uint64_t cpu_ns;  // since the program began
};
static_assert(sizeof(WorkloadSample) == 40);

inline constexpr uint64_t kTouchedFrom = 64 << 10;
inline constexpr uint32_t kMostBlockOperations = 1 << 16;
inline constexpr uint32_t kMostBlockBytes = 8 << 20;  // plain

}  // namespace tide::format
