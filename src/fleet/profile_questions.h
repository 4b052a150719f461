// Questions about the sampled profiles of a fleet, of each kind that tide profile knows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fleet/memory_questions.h"

namespace tide::fleet {

enum class ProfileKind {
  kInUse,
  kAllocated,
  kPeak,
  kLifetime,       // of what was freed
  kGrowth,         // of what is live, within the selection
  kFragmentation,  // what live blocks pin
  kResidency,
};

// Of each process its last profile in the selection; of kGrowth less its first one. All are
// estimates.
struct ProfileRow {
  std::string name;   // empty for a stack
  int64_t stack = 0;  // of By::kStack
  int64_t processes = 0;
  int64_t bytes = 0;  // of the kind: live, allocated, ..., pinned, resident
  int64_t blocks = 0;
  int64_t live_bytes = 0;
  int64_t swapped_bytes = 0;  // of kResidency, as the next
  int64_t absent_bytes = 0;
  int64_t lifetime_ns = 0;  // of kLifetime: of all blocks together
};
// Most bytes first. Not by kClass. Profiles that say nothing of the kind are left out.
std::vector<ProfileRow> profile_rows(Store& store, ProfileKind kind, By by,
                                     const Selection& selection, size_t most);

}  // namespace tide::fleet
