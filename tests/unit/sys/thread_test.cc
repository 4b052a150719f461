#include "sys/thread.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <cerrno>

namespace tide::tests {
namespace {

TEST(CurrentCpu, IsTheOneThatTheThreadMayRunOn) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  unsigned tried = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && tried < 4; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    ++tried;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    ASSERT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
    errno = 77;
    EXPECT_EQ(sys::current_cpu(), cpu);
    EXPECT_EQ(errno, 77);
  }
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_GT(tried, 0u);
}

}  // namespace
}  // namespace tide::tests
