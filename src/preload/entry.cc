#include "preload/entry.h"

#include "preload/bootstrap.h"
#include "preload/sampling.h"
#include "probe/arena_map.h"

namespace tide::preload {

namespace {

enum class Phase : uint32_t { kUntried, kStarting, kRecording, kOff };
constinit std::atomic<Phase> g_phase{Phase::kUntried};

void start() {
  find_next_functions();
  format::TraceArena* const arena = probe::map_arena();
  const bool started =
      arena != nullptr && probe::start_recording(arena, allocator_path(), place_of_path());
  if (g_next.malloc_usable_size == nullptr) probe::g_recording.has_usable_sizes = false;
  if (!started) start_sampling();
  g_phase.store(started ? Phase::kRecording : Phase::kOff, std::memory_order_release);
}

}  // namespace

ThreadStream* NextFunctions::open() {
  Phase phase = g_phase.load(std::memory_order_acquire);
  if (TIDE_UNLIKELY(phase == Phase::kUntried) &&
      g_phase.compare_exchange_strong(phase, Phase::kStarting)) {
    start();
    phase = g_phase.load(std::memory_order_relaxed);
  }
  return phase == Phase::kRecording ? probe::open_stream() : nullptr;
}

bool NextFunctions::is_untried() {
  return g_phase.load(std::memory_order_relaxed) == Phase::kUntried;
}

bool NextFunctions::hides(const void* p) { return is_bootstrap(p); }

}  // namespace tide::preload
