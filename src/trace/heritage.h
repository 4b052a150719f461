// A process of a trace, with the blocks that it has from its parent if it was forked.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "trace/trace_reader.h"

namespace tide::trace {

// The one at `index` of all that the trace has. What a forked child inherits comes first, as
// Note::kLive; to know it the parent's events are read up to the fork.
std::unique_ptr<TraceReader> open_process(const std::vector<TraceProcess>& all, size_t index,
                                          EventsFile::Mode mode);

}  // namespace tide::trace
