// Samples of a process's allocations: what a profile is made of. One definition for the library,
// which keeps it, for readers from outside (HeapRoot::profile) and for files.
//
// Each sample stands for 1 / chance allocations; sums over samples are estimates of the sums over
// all, and the variances beside them say how far off they may be: the sum of w (w - 1) x^2 over
// samples that count w times x.
#pragma once

#include <cstdint>
#include <string_view>

namespace tide::layout {

// By places: blocks that a thread's cache takes back and hands out again are seen by chance, see
// heap/sample_points.h. kEveryCall: nothing was sampled in another way before.
enum SamplingMode : uint32_t {
  kSamplesNothing = 0,
  kSamplesPlaces = 1,
  kSamplesEveryCall = 2,
  kSamplesEveryCallNow = 3,
};

// ProfileTable::is_on is a mode, and above it the second (monotonic) in which counting every call
// ends, 0: never. Who counts from outside sets it anew from time to time, so that neither a process
// whose observer was killed nor a forked child pays for long.
constexpr SamplingMode sampling_mode(uint32_t is_on) { return SamplingMode{is_on & 3}; }
constexpr bool counts_calls(uint32_t is_on) { return sampling_mode(is_on) >= kSamplesEveryCall; }
constexpr uint64_t counting_end_s(uint32_t is_on) { return is_on >> 2; }
constexpr uint32_t counting_until(SamplingMode mode, uint64_t end_s) {
  return mode | static_cast<uint32_t>(end_s) << 2;
}

inline constexpr uint32_t kProfileVersion = 1;
// Behind the mappings a line for each object file that has a build id: this, the address of its
// first byte in hex, a space, the id.
inline constexpr std::string_view kBuildIdLine = "build-id ";
inline constexpr uint32_t kProfileFileVersion = 2;
inline constexpr uint64_t kProfileFileMagic = 0x656c69666f727074;  // "tprofile"

struct SampledSum {
  double count;
  double bytes;
  double count_variance;
  double bytes_variance;
};

// Allocations with the same call stack.
struct SampledStack {
  uint64_t hash;
  uint32_t first_frame;  // in the table's frames, the innermost first
  uint32_t frame_count;
  SampledSum allocated;
  SampledSum live;
  SampledSum peak;  // of `live`, when the whole was highest
  SampledSum freed;
  double lifetime_ns;    // sum over freed ones
  uint64_t shortest_ns;  // of those that were sampled
  uint64_t longest_ns;
  uint64_t samples;
  uint64_t live_samples;
};

// A live block that is a sample.
struct SampledBlock {
  uint64_t address;  // 0: nothing here; 1: nothing any more
  uint64_t bytes;    // that were asked for
  uint64_t time_ns;
  double weight;
  uint32_t stack;
  int32_t thread;
};

// Where the blocks are not in slabs of Tide.
inline constexpr double kPinnedUnknown = -1;

// What is known of the pages that a sampled block lies on.
struct SampledPages {
  uint64_t address;   // the block's
  double pinned;      // its part of the bytes that are not live on pages with live blocks
  uint64_t resident;  // of its bytes
  uint64_t swapped;   // of its bytes; in a file of a process's own: 0
};

struct ProfileTable {
  uint32_t version = kProfileVersion;
  uint32_t is_on;      // see sampling_mode(); may be set from outside, `gap_bytes` before it
  uint64_t gap_bytes;  // mean distance of samples
  uint64_t changes;    // odd while somebody is at the tables
  uint64_t start_ns;   // monotonic
  uint64_t missed;     // samples that could not be kept
  SampledSum live;     // of all stacks
  SampledSum peak;
  uint64_t peak_ns;
  // Addresses in the process.
  uint64_t stacks;
  uint64_t frames;  // words
  uint64_t blocks;
  uint32_t stack_count;
  uint32_t frame_count;
  uint32_t block_slots;
  uint32_t live_count;
};

// What an ELF note of kProfileNoteType (heap_note.h) leads to, in a library that samples the calls
// of another malloc.
struct ProfileRoot {
  uint64_t magic;  // kProfileFileMagic
  const void* self;
  const ProfileTable* table;
};

// A file: this, the table, its stacks, frames and slots of blocks; from version 2 on a SampledPages
// for each sampled block, and one with the address 0; then /proc/PID/maps to the end of the file.
struct ProfileFileHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t table_bytes;
  uint64_t now_ns;       // monotonic, when it was written
  uint64_t real_now_ns;  // since 1970
  int32_t process;
  uint32_t unused;
};

}  // namespace tide::layout
