// What `tide fleet report` says of call stacks.
#pragma once

#include "fleet/memory_questions.h"
#include "fleet/store.h"
#include "report/parts.h"

namespace tide::cli {

// Live bytes by call stack: now, as a flame graph, and over time, layer upon layer.
report::Section fleet_stacks_section(fleet::Store& store, const fleet::Selection& selection);

// Whose live blocks keep sparse pages; of what was seen last.
report::Section fleet_pins_section(fleet::Store& store, const fleet::Selection& selection);

}  // namespace tide::cli
