// What the addresses in call stacks are: functions, files and lines, also of code that was inlined.
// Asked at the end of a recording, on the machine where it was made, so that the trace reads the
// same everywhere.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/symbol_cache.h"
#include "trace/traced_process.h"

namespace tide::trace {

// The content of symbols.json, see docs/formats.md.
nlohmann::ordered_json symbols_of(const TracedProcess& process, host::SymbolCache& cache);

}  // namespace tide::trace
