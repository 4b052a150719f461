#include "sys/pressure.h"

#include "tests/unit/sys/cgroup_fixture.h"

namespace tide::tests {
namespace {

using sys::MemoryPressure;

class PressureTest : public CgroupFixture {
 protected:
  MemoryPressure pressure_of(const std::string& path, const std::string& average) {
    write(path, "some avg10=" + average +
                    " avg60=90.00 avg300=90.00 total=5\n"
                    "full avg10=99.00 avg60=0.00 avg300=0.00 total=3\n");
    return sys::memory_pressure(room, root());
  }
};

TEST_F(PressureTest, WhereTheKernelDoesNotSay) {
  EXPECT_EQ(sys::memory_pressure(room, root()), MemoryPressure::kNone);
  write("/proc/pressure/memory", "full avg10=50.00\n");
  EXPECT_EQ(sys::memory_pressure(room, root()), MemoryPressure::kNone);
}

TEST_F(PressureTest, OfTheSystem) {
  const std::string path = "/proc/pressure/memory";
  EXPECT_EQ(pressure_of(path, "0.00"), MemoryPressure::kNone);
  EXPECT_EQ(pressure_of(path, "0.99"), MemoryPressure::kNone);
  EXPECT_EQ(pressure_of(path, "1.00"), MemoryPressure::kSome);
  EXPECT_EQ(pressure_of(path, "9.99"), MemoryPressure::kSome);
  EXPECT_EQ(pressure_of(path, "10.00"), MemoryPressure::kHigh);
  EXPECT_EQ(pressure_of(path, "100.00"), MemoryPressure::kHigh);
  EXPECT_EQ(pressure_of(path, "2"), MemoryPressure::kSome);
}

TEST_F(PressureTest, OfTheGroupWhereItHasFigures) {
  version_two("/a");
  EXPECT_EQ(pressure_of("/proc/pressure/memory", "50.00"), MemoryPressure::kHigh);
  EXPECT_EQ(pressure_of("/sys/fs/cgroup/a/memory.pressure", "0.00"), MemoryPressure::kNone);
  EXPECT_EQ(pressure_of("/sys/fs/cgroup/a/memory.pressure", "3.50"), MemoryPressure::kSome);
}

}  // namespace
}  // namespace tide::tests
