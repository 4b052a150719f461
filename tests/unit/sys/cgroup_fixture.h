// A made-up /proc and /sys in a temporary folder, for what reads the kernel's files.
#pragma once

#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <string>

#include "sys/cgroup.h"

namespace tide::tests {

class CgroupFixture : public testing::Test {
 protected:
  CgroupFixture() {
    std::string pattern = testing::TempDir() + "tide-cgroup-XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~CgroupFixture() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }

  // What a host with version 2 alone looks like, this process being in `group`.
  void version_two(const std::string& group, const std::string& mounted = "/") {
    write("/proc/self/cgroup", "0::" + group + "\n");
    write("/proc/self/mountinfo",
          "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "25 22 0:23 " +
              mounted + " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }

  const char* root() const { return root_.c_str(); }

  sys::GroupRoom room;

 private:
  std::string root_;
};

}  // namespace tide::tests
