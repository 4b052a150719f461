// Stops the process, which is traced, at each system call about memory.
#pragma once

namespace tide::player {

// False: the system has no filters.
bool install_system_call_filter();

}  // namespace tide::player
