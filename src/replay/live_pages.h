// The pages that hold a live block, from the table of slots: what an allocator would at least need
// if it could give all others back.
#pragma once

#include <cstdint>

#include "format/replay_session.h"

namespace tide::replay {

struct LivePages {
  uint64_t pages = 0;
  uint64_t bytes = 0;  // of the live blocks
};

LivePages count_live_pages(const format::ReplaySlot* slots, uint64_t count, uint64_t page_bytes);

}  // namespace tide::replay
