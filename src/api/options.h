// The options of this process: read from the environment at the first allocation, changed through
// the API. Also what follows from them: the engine's configuration, lines at the start, the report
// at the end. See option_set.h for the table and the rules. Any thread may call; nothing here
// allocates.
#pragma once

#include "api/limits.h"
#include "api/option_set.h"
#include "api/startup.h"

namespace tide::api {

// Read from the environment if they were not yet. In secure-execution mode all at their defaults.
const OptionSet& options();

// The limits on the footprint in force. Bytes; 0: none.
LimitBytes limits_in_force();

// Sets both, as the options limit_soft and limit_hard; kAuto as there. kOutOfRange: too large, or
// the soft one is above the hard one.
OptionFault set_limits(uint64_t soft, uint64_t hard);

// Looks again at what the control group allows and whether memory is short, and lets the engine
// know: reads some small files if the options ask for it. True: the limits have changed. Where
// nothing can be read, because there is no descriptor left or the process has shut itself in, they
// stay as they are.
bool refresh_limits(sys::GroupRoom& room);

// Lets the engine know whether the system makes huge pages by itself; reads a file the first time.
void notice_huge_pages();

// Sets an option and lets the engine know.
OptionFault set_option(std::string_view name, std::string_view value);

}  // namespace tide::api
