#include "host/wait_for.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace tide::host {

bool wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, events, 0};
    constexpr std::chrono::milliseconds::rep kMost = 60'000;
    const int found = poll(&waiting, 1, static_cast<int>(std::min(left.count(), kMost)));
    if (found > 0 || (found < 0 && errno != EINTR)) return true;
  }
}

}  // namespace tide::host
