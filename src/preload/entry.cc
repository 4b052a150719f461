#include "preload/entry.h"

#include "preload/bootstrap.h"
#include "probe/arena_map.h"

namespace tide::preload {

constinit UsableSize* g_usable_size = nullptr;

namespace {

enum class Phase : uint32_t { kUntried, kStarting, kRecording, kOff };
constinit std::atomic<Phase> g_phase{Phase::kUntried};

void start() {
  find_next_functions();
  format::TraceArena* const arena = probe::map_arena();
  const bool started = arena != nullptr && probe::start_recording(arena, allocator_path());
  if (started && (arena->flags & format::kWithUsableSizes) != 0) {
    g_usable_size = g_next.malloc_usable_size;
  }
  g_phase.store(started ? Phase::kRecording : Phase::kOff, std::memory_order_release);
}

ThreadStream* open() {
  Phase phase = g_phase.load(std::memory_order_acquire);
  if (TIDE_UNLIKELY(phase == Phase::kUntried) &&
      g_phase.compare_exchange_strong(phase, Phase::kStarting)) {
    start();
    phase = g_phase.load(std::memory_order_relaxed);
  }
  return phase == Phase::kRecording ? probe::open_stream() : nullptr;
}

}  // namespace

TIDE_NOINLINE ThreadStream* enter_aside(const void* frame) {
  ThreadStream& stream = *probe::t_stream;
  switch (stream.busy) {
    case probe::kClosed:
      return open();
    case probe::kWriting:
      probe::count_lost(stream);
      return nullptr;
    case probe::kInCall:
      return nullptr;
    default:
      // An exception has ended the call; stacks grow down.
      if (reinterpret_cast<uintptr_t>(frame) < stream.busy) return nullptr;
      leave_call(stream, 0);
      set_busy(stream, probe::kIdle);
      return &stream;
  }
}

namespace {

// Whether the thread is in a call that is recorded, and no record is in the making.
bool is_in_call(const ThreadStream& stream) {
  return stream.busy != probe::kIdle && stream.busy != probe::kWriting &&
         stream.busy != probe::kClosed;
}

}  // namespace

TIDE_NOINLINE void given_aside(Call call, void* p, size_t bytes, bool has_extra, uint64_t extra) {
  ThreadStream& stream = *probe::t_stream;
  if (!is_in_call(stream) || is_bootstrap(p)) return;
  probe::note_nested(stream, {call, has_extra, number(p), bytes, slack_of(p, bytes), extra});
}

TIDE_NOINLINE void taken_aside(Call call, void* p) {
  ThreadStream& stream = *probe::t_stream;
  if (!is_in_call(stream)) return;
  const uintptr_t busy = stream.busy;
  set_busy(stream, probe::kWriting);
  probe::record_nested_release(stream, call, number(p));
  set_busy(stream, busy);
}

}  // namespace tide::preload
