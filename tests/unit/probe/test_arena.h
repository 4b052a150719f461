// An arena for tests of the recorder, and what was recorded in it. The recorder knows one arena in
// the life of a process, so each test records in a forked one.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "format/record_reader.h"
#include "probe/packets.h"
#include "probe/recorder.h"

namespace tide::probe::test {

using format::Record;

inline constexpr uint32_t kProcesses = 8;
inline constexpr uint32_t kSmallPacket = 4096;

struct ArenaShape {
  uint32_t packets = 64;
  uint32_t flags = 0;
  format::StackKind stacks = format::StackKind::kNone;
  bool has_collector = true;
};

// Shared with the processes that are forked from here on.
class TestArena {
 public:
  explicit TestArena(const ArenaShape& shape) {
    const uint64_t states = 4096 + kProcesses * sizeof(format::ProcessSlot);
    const uint64_t packets = (states + shape.packets * 4 + 4095) / 4096 * 4096;
    bytes_ = packets + uint64_t{shape.packets} * kSmallPacket;
    arena_ = static_cast<format::TraceArena*>(
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    arena_->magic = format::kArenaMagic;
    arena_->version = format::kArenaVersion;
    arena_->flags = shape.flags;
    arena_->bytes = bytes_;
    arena_->packet_bytes = kSmallPacket;
    arena_->packet_count = shape.packets;
    arena_->process_count = kProcesses;
    arena_->stacks = shape.stacks;
    arena_->stack_depth = 16;
    arena_->collector = shape.has_collector ? 1 : 0;
    arena_->processes = 4096;
    arena_->packet_states = states;
    arena_->packets = packets;
  }
  ~TestArena() { munmap(arena_, bytes_); }
  TestArena(const TestArena&) = delete;
  TestArena& operator=(const TestArena&) = delete;

  format::TraceArena& operator*() { return *arena_; }
  format::TraceArena* operator->() { return arena_; }

  // In a process of its own, with the calling thread's stream open. The status that it ended with.
  template <class Body>
  int record(Body body) {
    const pid_t child = fork();
    if (child == 0) {
      const bool ready = start_recording(arena_, "test") && open_stream() != nullptr;
      _exit(ready ? body() : 100);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
  }

  struct Stream {
    std::vector<std::vector<uint8_t>> packets;  // in their order
    std::vector<uint64_t> first_ticks;
    bool is_whole = true;  // none is missing
  };
  using Key = std::pair<uint32_t, uint32_t>;  // process, thread

  // All packets that somebody has; they stay where they are.
  std::map<Key, Stream> streams() {
    std::map<Key, std::map<uint32_t, const format::PacketHead*>> found;
    for (uint32_t i = 0; i < arena_->packet_count; ++i) {
      const format::PacketHead* const head = packet_at(*arena_, i);
      if (states_of(*arena_)[i].load() == format::PacketState::kFree) continue;
      found[{head->process_number, head->thread}][head->sequence] = head;
    }
    std::map<Key, Stream> result;
    for (const auto& [key, packets] : found) {
      Stream& stream = result[key];
      uint32_t expected = 0;
      for (const auto& [sequence, head] : packets) {
        stream.is_whole &= sequence == expected++;
        const auto* const records = reinterpret_cast<const uint8_t*>(head + 1);
        stream.packets.emplace_back(records, records + head->committed.load());
        stream.first_ticks.push_back(head->first_tick);
      }
    }
    return result;
  }

 private:
  format::TraceArena* arena_;
  uint64_t bytes_;
};

// Calls `visit(record)` for each; false when some bytes are no records.
template <class Visit>
bool visit_records(const TestArena::Stream& stream, Visit visit) {
  for (size_t i = 0; i < stream.packets.size(); ++i) {
    format::RecordReader reader(stream.packets[i].data(), stream.packets[i].size(),
                                stream.first_ticks[i]);
    Record record;
    while (reader.next(record)) visit(record);
    if (reader.broken()) return false;
  }
  return true;
}

// An event of the calling thread, as a recorded call does it.
inline void event(Call call, uint64_t pointer, uint64_t size) {
  t_stream->busy = kWriting;
  record(*t_stream, __builtin_frame_address(0), call, pointer, size, 0);
  t_stream->busy = kIdle;
}

}  // namespace tide::probe::test
