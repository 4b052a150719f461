// The memory that is shared with the replayer, as the player works on it; and how the player ends
// when it can't go on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "format/replay_session.h"

namespace tide::player {

using format::ReplaySession;
using format::ReplayThread;

struct Session {
  ReplaySession* head;
  ReplayThread* threads;
  const uint32_t* order;
  format::ReplayWindow* windows;
  format::ReplaySlot* slots;
  format::LatencyTable* latencies;  // null: nothing is timed
  uint32_t thread_count;            // of all copies

  // Exits where there is none.
  static Session map(int descriptor);
};

// Memory of the player's own, resident from the start and counted as the harness's. Exits where
// there is none.
void* map_harness(Session& session, size_t bytes);
// The same, but only what is touched becomes resident; count_harness() says so.
void* reserve_harness(Session& session, size_t bytes);
void count_harness(Session& session, size_t bytes);

[[noreturn]] void fail(Session& session, format::ReplayFault fault);
// An allocation failed: that is a result.
[[noreturn]] void end_without_memory(Session& session, format::Call call, uint64_t size);

}  // namespace tide::player
