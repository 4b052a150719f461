#include "replay/memory_group.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace tide::replay {
namespace {

namespace fs = std::filesystem;

// A made-up /proc and hierarchy. Files that the kernel would put into a new group are not there, so
// none is ever a good one; what is said tells where it was tried.
class MemoryGroupTest : public testing::Test {
 protected:
  MemoryGroupTest() {
    std::string pattern = testing::TempDir() + "tide-group-XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~MemoryGroupTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& content) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << content;
  }
  void version_two() const {
    write("/proc/self/cgroup", "0::/a/b\n");
    write("/proc/self/mountinfo", "25 22 0:23 / /cg rw shared:9 - cgroup2 cgroup2 rw\n");
    fs::create_directories(root_ + "/cg/a/b");
  }
  // The folder in which it was tried last, below the root.
  std::string tried() const {
    std::string why;
    EXPECT_EQ(MemoryGroup::make(why, root_), nullptr);
    const size_t begin = why.find('\'');
    const size_t end = why.find('\'', begin + 1);
    if (end == std::string::npos) return why;
    return why.substr(begin + 1 + root_.size(), end - begin - 1 - root_.size());
  }
  size_t groups_left() const {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      count += entry.path().filename().string().starts_with("tide-replay-") ? 1 : 0;
    }
    return count;
  }

  std::string root_;
};

TEST_F(MemoryGroupTest, NoHierarchy) {
  EXPECT_EQ(tried(), "there is no hierarchy of control groups for memory");
}

TEST_F(MemoryGroupTest, DownToTheOwnGroup) {
  version_two();
  EXPECT_EQ(tried(), "/cg/a/b");
  EXPECT_EQ(groups_left(), 0U);
}

TEST_F(MemoryGroupTest, NotAboveALimit) {
  version_two();
  // Whoever leaves b has no limit any more: only b itself is good.
  write("/cg/a/b/memory.max", "1000000\n");
  write("/cg/a/memory.max", "max\n");
  // Abandoned groups are removed wherever it is tried.
  fs::create_directories(root_ + "/cg/a/tide-replay-1-1");
  EXPECT_EQ(tried(), "/cg/a/b");
  EXPECT_EQ(groups_left(), 1U);
}

TEST_F(MemoryGroupTest, VersionOneNextToTwo) {
  write("/proc/self/cgroup", "4:cpu,memory:/c\n0::/\n");
  write("/proc/self/mountinfo",
        "25 22 0:23 / /two rw - cgroup2 cgroup2 rw\n"
        "26 22 0:24 / /one rw - cgroup cgroup rw,cpu,memory\n");
  fs::create_directories(root_ + "/one/c");
  fs::create_directories(root_ + "/two");
  write("/one/c/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(tried(), "/two");  // after both of version 1
  fs::remove_all(root_ + "/proc/self/mountinfo");
  write("/proc/self/mountinfo", "26 22 0:24 / /one rw - cgroup cgroup rw,cpu,memory\n");
  EXPECT_EQ(tried(), "/one/c");
}

TEST_F(MemoryGroupTest, AbandonedGroupsGo) {
  version_two();
  fs::create_directories(root_ + "/cg/tide-replay-1-1");
  fs::create_directories(root_ + "/cg/a/tide-replay-2-1");
  fs::create_directories(root_ + "/cg/other");
  EXPECT_EQ(tried(), "/cg/a/b");
  EXPECT_EQ(groups_left(), 0U);
  EXPECT_TRUE(fs::exists(root_ + "/cg/other"));
}

}  // namespace
}  // namespace tide::replay
