// The memory that traced programs write into, see format/trace_arena.h: made here, by the process
// that collects from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "format/trace_arena.h"
#include "host/file_descriptor.h"

namespace tide::trace {

struct ArenaSettings {
  uint64_t bytes = format::kArenaBytes;
  format::StackKind stacks = format::StackKind::kNone;
  uint32_t stack_depth = 16;
  bool drops_when_full = false;
  bool has_usable_sizes = true;
  bool has_system_calls = true;
};

// Both clocks at one moment.
struct ClockReading {
  uint64_t tick;
  uint64_t monotonic_ns;
};

// To be made and ended by a thread that lives as long as the command.
class ArenaOwner {
 public:
  // Throws host::Error, one line, when there is not so much memory. `file`: empty memory that
  // somebody else has made; without one it is our own.
  explicit ArenaOwner(const ArenaSettings& settings, host::FileDescriptor file = own_memory());
  ~ArenaOwner();
  ArenaOwner(const ArenaOwner&) = delete;
  ArenaOwner& operator=(const ArenaOwner&) = delete;

  // What kArenaVariable has to be for a program that is to be recorded.
  std::string address() const;

  // Takes a slot for a process that is to be recorded, before it is. Returns its index.
  uint32_t give_slot(int32_t process, int32_t parent);
  // The number of a slot's process here, where it may be another one than in the process's own PID
  // namespace; 0: it ended before it was seen. Any thread.
  int32_t process_of(const format::ProcessSlot& slot);

  // Tells the memory from every other file.
  uint64_t inode() const;

  format::TraceArena& arena() { return *arena_; }
  format::ProcessSlot& slot(uint32_t index);
  std::atomic<format::PacketState>& packet_state(uint32_t index);
  format::PacketHead& packet(uint32_t index);

  ClockReading read_clock() const;
  // As measured at the start.
  const ClockReading& first_reading() const { return first_; }
  uint64_t first_realtime_ns() const { return first_realtime_ns_; }
  double ns_per_tick() const { return ns_per_tick_; }

  // Makes the packet free. Tell the threads with announce_free() after the last one.
  void free_packet(uint32_t index);
  void announce_free();

  // Sleeps unless TraceArena::filled is another than `filled`. `is_urgent`: until it is; else
  // threads that fill packets are spared the call that wakes.
  void wait(uint32_t filled, uint64_t nanoseconds, bool is_urgent);
  // Ends a wait() in another thread.
  void wake();

  void set_control(format::Control control);

 private:
  static host::FileDescriptor own_memory();
  void calibrate();

  host::FileDescriptor file_;
  std::mutex mutex_;
  std::map<uint32_t, int32_t> processes_;  // by ProcessSlot::number
  format::TraceArena* arena_ = nullptr;
  uint64_t bytes_ = 0;
  ClockReading first_{};
  uint64_t first_realtime_ns_ = 0;
  double ns_per_tick_ = 1;
};

}  // namespace tide::trace
