#include "sys/cgroup.h"

#include <sys/resource.h>
#include <unistd.h>
#include <cerrno>

#include "tests/unit/sys/cgroup_fixture.h"

namespace tide::tests {
namespace {

using sys::cgroup_limits;
using sys::kUnlimited;

class CgroupTest : public CgroupFixture {
 protected:
  void expect(uint64_t high, uint64_t max) {
    errno = 7777;
    const sys::CgroupLimits limits = cgroup_limits(room, root());
    EXPECT_EQ(limits.high, high);
    EXPECT_EQ(limits.max, max);
    EXPECT_EQ(errno, 7777);
  }
};

TEST_F(CgroupTest, NothingThereIsNoLimit) {
  expect(kUnlimited, kUnlimited);
  write("/proc/self/cgroup", "");
  write("/proc/self/mountinfo", "nonsense\n\n- - - -\n");
  expect(kUnlimited, kUnlimited);
}

TEST_F(CgroupTest, TheLeastOfTheGroupAndThoseAround) {
  version_two("/a/b/c");
  write("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
  write("/sys/fs/cgroup/a/b/c/memory.high", "800000\n");
  expect(800'000, kUnlimited);
  write("/sys/fs/cgroup/a/b/memory.max", "900000\n");
  write("/sys/fs/cgroup/a/memory.max", "1000000\n");
  write("/sys/fs/cgroup/a/memory.high", "700000\n");
  expect(700'000, 900'000);
  write("/sys/fs/cgroup/memory.max", "5\n");
  expect(700'000, 5);
  write("/sys/fs/memory.max", "1\n");
  expect(700'000, 5);
}

TEST_F(CgroupTest, InANamespaceOfItsOwn) {
  version_two("/");
  write("/sys/fs/cgroup/memory.max", "123456\n");
  expect(kUnlimited, 123'456);
}

TEST_F(CgroupTest, TheMountShowsPartOfTheHierarchy) {
  version_two("/pod/box/inner", "/pod/box");
  write("/sys/fs/cgroup/memory.max", "2000\n");
  write("/sys/fs/cgroup/inner/memory.max", "1000\n");
  expect(kUnlimited, 1000);
  version_two("/elsewhere", "/pod/box");
  expect(kUnlimited, 2000);
  version_two("/../other", "/");
  expect(kUnlimited, 2000);
}

TEST_F(CgroupTest, VersionOne) {
  write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/17\n1:name=systemd:/x\n");
  write(
      "/proc/self/mountinfo",
      "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "32 25 0:28 /docker/17 /sys/fs/cg\\040mem rw shared:3 master:1 - cgroup cgroup rw,memory\n");
  write("/sys/fs/cg mem/memory.limit_in_bytes", "9223372036854771712\n");
  expect(kUnlimited, kUnlimited);
  write("/sys/fs/cg mem/memory.limit_in_bytes", "268435456\n");
  expect(kUnlimited, 268'435'456);
}

TEST_F(CgroupTest, BothAtOnce) {
  write("/proc/self/cgroup", "4:memory:/m\n0::/u\n");
  write("/proc/self/mountinfo",
        "32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "77\n");
  expect(kUnlimited, 77);
  write("/sys/fs/cgroup/unified/u/memory.high", "55\n");
  expect(55, 77);
}

TEST_F(CgroupTest, LongLinesAndWeirdNumbers) {
  version_two("/a");
  const std::string overlay =
      "40 22 0:50 / /big rw - overlay overlay lowerdir=" + std::string(5000, 'x') +
      " - cgroup2 x\n";
  write("/proc/self/mountinfo",
        overlay + "25 22 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" + overlay);
  write("/sys/fs/cgroup/a/memory.max", "4096");
  expect(kUnlimited, 4096);
  for (const char* text : {"", "\n", "-5\n", "12x\n", "99999999999999999999999\n"}) {
    write("/sys/fs/cgroup/a/memory.max", text);
    expect(kUnlimited, kUnlimited);
  }
  write("/sys/fs/cgroup/a/memory.max", "0\n");
  expect(kUnlimited, 0);
  version_two("/" + std::string(1500, 'y'));
  expect(kUnlimited, kUnlimited);
}

TEST_F(CgroupTest, SaysWhetherItCouldSee) {
  EXPECT_FALSE(cgroup_limits(room, root()).seen) << "another root, or no descriptor left";
  version_two("/a");
  EXPECT_TRUE(cgroup_limits(room, root()).seen) << "no limit is no file";
  write("/sys/fs/cgroup/a/memory.max", "4096");
  EXPECT_TRUE(cgroup_limits(room, root()).seen);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool seen = cgroup_limits(room, root()).seen;
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(seen);
  // A file that is none: a folder can be opened, a loop of links can't.
  const std::string link = std::string(root()) + "/sys/fs/cgroup/a/memory.high";
  ASSERT_EQ(symlink("memory.high", link.c_str()), 0);
  EXPECT_FALSE(cgroup_limits(room, root()).seen);
}

TEST(Cgroup, OfThisProcessIsReadWithoutHarm) {
  sys::GroupRoom room;
  const sys::CgroupLimits limits = sys::cgroup_limits(room);
  EXPECT_GT(limits.max, 0u);
}

}  // namespace
}  // namespace tide::tests
