// The memory that the replayer and the process that plays a workload (tide-player) share: what is
// to be played and how, one counter line for each thread, the table of slots, the results.
//
//   ReplaySession
//   ReplayThread    for each thread of each copy
//   windows         ReplayWindow each
//   slots           ReplaySlot for each slot of each copy, from a page on
//   latencies       LatencyTable for each place of a running thread, from a page on; or nothing
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/align.h"
#include "format/latency_histogram.h"
#include "format/trace_call.h"

namespace tide::format {

inline constexpr uint64_t kReplaySessionMagic = 0x7469646572706c31;
inline constexpr int kReplaySessionDescriptor = 3;
inline constexpr int kReplayWorkloadDescriptor = 4;

enum class ReplayTouch : uint32_t {
  kRecorded,  // what the program touched: all of a block, unless the workload says less
  kPage,      // the first byte of each page
  kAll,       // every byte, that of calloc, too
};

enum class ReplayState : uint32_t {
  kStarting,
  kReady,  // waits for `go`
  kPlaying,
  kDone,
  kNoMemory,  // an allocation failed
  kFailed,    // the player itself can't go on; see fault
};

enum class ReplayFault : uint32_t { kNone, kMemory, kWorkload, kThread, kPointer };

// What one thread has done, for the others and for who watches. Written by its thread, but for
// `wanted` and `word`: `done` after each operation, the rest every few hundred.
struct alignas(64) ReplayThread {
  enum State : uint32_t { kNotStarted, kPlaying, kParked, kEnded };

  std::atomic<uint64_t> done;    // operations
  std::atomic<uint64_t> time;    // recorded, that has been reached
  std::atomic<uint64_t> wanted;  // wake who sleeps on `word` when so many are done
  std::atomic<uint32_t> word;
  std::atomic<uint32_t> state;
  std::atomic<int64_t> live_bytes;  // allocated less released here
  std::atomic<int64_t> live_blocks;

  alignas(64) std::atomic<uint64_t> calls[kCallCount];
  uint64_t begin_ns;         // when it begins, recorded
  int64_t noted_live_bytes;  // that windows know of
  uint64_t first_window;     // it has operations in this one, and perhaps in those up to the last
  uint64_t last_window;
  uint64_t waits;       // for others' operations, when they had not been done
  uint64_t wait_ticks;  // how long, with the time that it slept
  uint64_t spin_ticks;  // while it did not sleep
  uint64_t decode_ticks;
};

// The recorded time is cut into windows of about as much work. No thread begins a window before all
// have left the one but one before it: blocks of different threads live together only if they
// nearly did when they were recorded.
struct ReplayWindow {
  uint64_t end_ns;
  std::atomic<uint32_t> threads;  // that have not left it yet
  uint32_t reserved;
  std::atomic<int64_t> live_bytes;  // that came to live in it, less those that went
};

// A live block: its address and size in 12 bytes. 48 bits of address are all that processes get.
struct ReplaySlot {
  uint32_t words[3];

  static constexpr uint64_t kAddress = (uint64_t{1} << 48) - 1;

  void* pointer() const { return reinterpret_cast<void*>(first() & kAddress); }
  uint64_t size() const { return (first() >> 48 << 32) | words[2]; }
  void set(void* pointer, uint64_t size) {
    const uint64_t word = reinterpret_cast<uint64_t>(pointer) | (size >> 32 << 48);
    memcpy(words, &word, sizeof word);
    words[2] = static_cast<uint32_t>(size);
  }
  static bool can_hold(void* pointer) {
    return (reinterpret_cast<uint64_t>(pointer) & ~kAddress) == 0;
  }

 private:
  uint64_t first() const {
    uint64_t word;
    memcpy(&word, words, sizeof word);
    return word;
  }
};
static_assert(sizeof(ReplaySlot) == 12);
inline constexpr uint64_t kMostReplaySize = (uint64_t{1} << 48) - 1;

struct ReplaySession {
  uint64_t magic;
  // What to do.
  uint32_t copies;   // of the workload, at once
  uint32_t threads;  // of one
  uint32_t slots;    // of one
  uint32_t windows;
  uint32_t places;  // threads that run at once, at most
  ReplayTouch touch;
  uint32_t at_recorded_speed;
  uint32_t is_null;  // calls nobody: what the player costs without an allocator
  uint32_t is_timed;
  uint32_t threads_per_core;  // 0: the system places them
  uint64_t trim_every_ns;     // recorded time; 0: never
  uint64_t stop_at_ns;        // threads stop before operations after that
  uint64_t most_plain_bytes;  // of a block of the workload
  uint64_t most_stored_bytes;
  uint32_t counts_system_calls;
  uint32_t reserved;

  // How it is.
  std::atomic<ReplayState> state;
  std::atomic<uint32_t> go;
  std::atomic<uint32_t> floor;  // the first window that not all have left
  std::atomic<uint32_t> floor_sleepers;
  std::atomic<uint32_t>
      next_start;               // the first thread in the order of begin_ns that has no starter
  std::atomic<uint32_t> ended;  // threads
  std::atomic<uint64_t> next_trim_ns;
  std::atomic<uint64_t> harness_bytes;  // resident, of the player itself, beyond what it began with
  std::atomic<uint64_t> harness_vm_bytes;
  std::atomic<uint32_t> places_used;
  std::atomic<uint32_t> all_ended;
  std::atomic<ReplayFault> fault;
  std::atomic<uint32_t> failed_call;  // Call
  std::atomic<uint64_t> failed_size;
  uint64_t malloc_address;
  uint64_t session_address;  // in the player

  // Results.
  uint64_t wall_ns;
  uint64_t cpu_ns;
  uint64_t minor_faults;
  uint64_t major_faults;
  uint64_t begin_ticks;
  uint64_t end_ticks;
  uint64_t timer_ticks;  // what reading the clock twice takes
  uint64_t hwm_bytes;    // VmHWM at the end
  uint64_t peak_bytes;   // VmPeak
  uint64_t vm_at_begin;  // VmSize, without the harness's own
  uint64_t begin_monotonic_ns;
};

// Where the parts lie.
struct ReplayLayout {
  uint64_t threads_at;
  uint64_t order_at;  // uint32_t for each thread: in the order of begin_ns
  uint64_t windows_at;
  uint64_t slots_at;
  uint64_t latencies_at;
  uint64_t bytes;

  explicit constexpr ReplayLayout(const ReplaySession& session, uint64_t page) {
    const uint64_t threads = uint64_t{session.threads} * session.copies;
    threads_at = base::align_up(uint64_t{sizeof(ReplaySession)}, uint64_t{64});
    order_at = threads_at + threads * sizeof(ReplayThread);
    windows_at = base::align_up(order_at + threads * sizeof(uint32_t), uint64_t{64});
    slots_at = base::align_up(windows_at + session.windows * sizeof(ReplayWindow), page);
    latencies_at = base::align_up(
        slots_at + uint64_t{session.slots} * session.copies * sizeof(ReplaySlot), page);
    bytes = latencies_at;
    if (session.is_timed != 0) {
      bytes += base::align_up(session.places * uint64_t{sizeof(LatencyTable)}, page);
    }
  }
};

}  // namespace tide::format
