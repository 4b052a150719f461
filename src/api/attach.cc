#include "api/attach.h"

#include <atomic>
#include <cstring>

#include "base/compiler.h"
#include "format/trace_arena.h"
#include "format/trace_record.h"
#include "sys/background.h"
#include "sys/path_taken.h"

// In override; a program that has libtide.a may lack the operators, and the tools have none of all.
extern "C" {
extern tide::layout::EntryRow tide_malloc_entries[] __attribute__((weak, visibility("hidden")));
extern tide::layout::EntryRow tide_new_entries[] __attribute__((weak, visibility("hidden")));
}

namespace tide::api {

using format::Path;
using sys::PathTaken;
static_assert(static_cast<int>(Path::kFast) == static_cast<int>(PathTaken::kCache) &&
              static_cast<int>(Path::kRefill) == static_cast<int>(PathTaken::kRefill) &&
              static_cast<int>(Path::kSpan) == static_cast<int>(PathTaken::kSpan) &&
              static_cast<int>(Path::kSystem) == static_cast<int>(PathTaken::kSystem));

constinit layout::RecordingRoot g_recording_root = {
    .version = layout::kRecordingVersion,
    .bytes = sizeof(layout::RecordingRoot),
    .arena_version = format::kArenaVersion,
    .entry_room = layout::kEntryRoom,
    .tables = {tide_malloc_entries, tide_new_entries},
    .streams = {},
    .attachment = {},
    .memory_name = "tide-trace",
};

namespace {

// The attachment that the recorder has been started for.
constinit std::atomic<uint64_t> g_started{0};
constinit std::atomic<bool> g_is_starting{false};
constinit bool g_has_failed = false;
constexpr uint64_t kWaitNs = 20'000;

uint64_t wanted_number() {
  return __atomic_load_n(&g_recording_root.attachment.number, __ATOMIC_ACQUIRE);
}

bool start() {
  const layout::Attachment& attachment = g_recording_root.attachment;
  auto* const arena = static_cast<format::TraceArena*>(attachment.arena);
  const std::string_view allocator(attachment.allocator,
                                   strnlen(attachment.allocator, sizeof attachment.allocator));
  return probe::start_recording(arena, allocator, sys::place_of_path(), attachment.process,
                                attachment.slot);
}

// One thread does it; the others wait, or their calls would be missing.
bool start_once() {
  const uint64_t wanted = wanted_number();
  while (g_started.load(std::memory_order_acquire) != wanted) {
    if (g_is_starting.exchange(true, std::memory_order_acquire)) {
      sys::sleep_for(kWaitNs);
      continue;
    }
    if (g_started.load(std::memory_order_relaxed) != wanted) {
      g_has_failed = !start();
      g_started.store(wanted, std::memory_order_release);
    }
    g_is_starting.store(false, std::memory_order_release);
  }
  return !g_has_failed;
}

}  // namespace

void forget_starting() { g_is_starting.store(false); }

void describe_threads() { g_recording_root.streams = probe::map_of_streams(); }

probe::ThreadStream* open_attached() {
  return wanted_number() == 0 ? nullptr : probe::open_stream(start_once);
}

}  // namespace tide::api
