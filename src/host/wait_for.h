// Waiting for a file descriptor, but not for ever.
#pragma once

#include <chrono>

namespace tide::host {

// Until `fd` has one of `events` (poll(2); an error or a hang-up counts as well). False: it is past
// `deadline`.
bool wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline);

}  // namespace tide::host
