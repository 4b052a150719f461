// Plays one thread of the workload.
#pragma once

#include <cstdint>

#include "player/operations.h"
#include "player/schedule.h"
#include "player/session.h"

namespace tide::player {

// `thread` is its number among those of all copies.
void play(Session& session, Schedule& schedule, const WorkloadIndex& index, uint32_t thread,
          Place& place);

// Sets head->timer_ticks.
void calibrate_timer(Session& session);

}  // namespace tide::player
