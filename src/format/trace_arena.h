// The memory that traced programs and their collector share: packets that threads fill with
// records, and how both sides take turns at them. Made by the collector (`tide trace`), mapped by
// every traced process; all of it is allocated beforehand, so that a write never fails.
//
// A packet belongs to whoever its state says: free ones to any thread that takes one with a
// compare-and-swap, owned ones to their thread, full ones to the collector, which makes them free
// again. The thread publishes each record with a store to PacketHead::committed, so that nothing is
// lost when the process is killed: the collector then takes owned packets of that process as they
// are.
//
// Who waits: a thread that finds no free packet, on `freed`; the collector, on `filled`. Both are
// futexes, counted up with each change.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tide::format {

inline constexpr uint64_t kArenaMagic = 0x616e657261746474;  // "tdtarena", low byte first
inline constexpr uint32_t kArenaVersion = 2;
// The variable that leads traced programs to the arena: "<path>:<descriptor>:<identity>", see
// probe/arena_map.h. The descriptor is inherited, the path is for programs that closed it.
inline constexpr char kArenaVariable[] = "TIDE_TRACE_ARENA";

enum class Control : uint32_t {
  kRecord = 0,
  kPause = 1,  // programs go on without recording
  kStop = 2,   // for good: the disk is full, or somebody said so
};

enum class PacketState : uint32_t { kFree = 0, kOwned = 1, kFull = 2 };

enum class ProcessState : uint32_t {
  kFree = 0,
  kClaimed = 1,  // being filled in
  kLive = 2,
  kEnded = 3,  // it said so, or a new program runs in its place
};

enum class Clock : uint32_t { kMonotonic = 0, kTsc = 1 };

enum class StackKind : uint32_t { kNone = 0, kFramePointers = 1, kUnwinder = 2 };

enum ArenaFlags : uint32_t {
  kDropWhenFull = 1,  // else threads wait for the collector
  kWithSystemCalls = 2,
  kWithUsableSizes = 4,
};

struct TraceArena {
  uint64_t magic;
  uint32_t version;
  uint32_t flags;  // ArenaFlags
  uint64_t bytes;  // of all
  uint32_t packet_bytes;
  uint32_t packet_count;
  uint32_t process_count;
  Clock clock;
  uint32_t tick_shift;  // a tick is that many bits of the clock's own unit (TSC cycle or ns)
  StackKind stacks;
  uint32_t stack_depth;
  uint32_t unused;
  // Offsets from here.
  uint64_t processes;      // ProcessSlot[process_count]
  uint64_t packet_states;  // std::atomic<PacketState>[packet_count]
  uint64_t packets;        // packet_count times packet_bytes, each begins with a PacketHead

  alignas(64) std::atomic<Control> control;
  std::atomic<uint32_t> next_process;  // numbers that processes have had
  alignas(64) std::atomic<uint32_t> filled;
  std::atomic<uint32_t> collector_waits;  // the collector sleeps on `filled`
  alignas(64) std::atomic<uint32_t> freed;
  std::atomic<uint32_t> threads_wait;      // how many sleep on `freed`
  alignas(64) std::atomic<uint64_t> lost;  // events that no process could be charged with
  // A robust mutex of the C library's, which the collector holds; this is its first word. The
  // kernel clears the thread's number in it when the collector ends, however it does, and wherever
  // those are who look: in their PID namespaces the collector may have another number, or none.
  alignas(64) std::atomic<uint32_t> collector;
  char rest_of_collector[60];
};

// By TraceArena::collector.
inline bool is_collected(uint32_t collector) {
  constexpr uint32_t kThread = 0x3fffffff;
  return (collector & kThread) != 0;
}

// A program in a process: a process that executes another program begins a new one.
struct alignas(64) ProcessSlot {
  std::atomic<ProcessState> state;
  int32_t pid;
  int32_t parent;
  uint32_t number;  // from 1, in order of appearance, never used twice
  uint64_t first_tick;
  std::atomic<uint32_t> next_thread;  // threads' numbers so far, from 1
  std::atomic<uint32_t> packets;      // that are owned or full
  std::atomic<uint64_t> lost;         // events
  std::atomic<uint64_t> requests;     // see tide_trace_sync: counted up by the program,
  std::atomic<uint64_t> answers;      // and by the collector once all before it is in the file
  uint64_t pid_namespace;             // in which `pid` and `parent` are numbers; 0: not known
};

// At the start of a packet; records follow.
struct alignas(64) PacketHead {
  uint32_t process;         // index of its slot
  uint32_t process_number;  // ProcessSlot::number
  uint32_t thread;          // from 1, in order of appearance in the process, never used twice
  int32_t tid;              // the system's number
  uint32_t sequence;        // of the packet in the thread's stream, from 0
  std::atomic<uint32_t> committed;  // bytes of records
  uint64_t first_tick;
  uint64_t reserved[2];
};
static_assert(sizeof(PacketHead) == 64);

inline constexpr uint32_t kPacketBytes = 32 << 10;
inline constexpr uint64_t kArenaBytes = uint64_t{64} << 20;

}  // namespace tide::format
