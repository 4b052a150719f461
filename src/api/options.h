// The options of this process: read from the environment at the first allocation, changed through
// the API. Also what follows from them: the engine's configuration, lines at the start, the report
// at the end. See option_set.h for the table and the rules. Any thread may call; nothing here
// allocates.
#pragma once

#include "api/option_set.h"
#include "api/startup.h"

namespace tide::api {

// Read from the environment if they were not yet. In secure-execution mode all at their defaults.
const OptionSet& options();

// Sets an option and lets the engine know.
OptionFault set_option(std::string_view name, std::string_view value);

}  // namespace tide::api
