// LinuxVm::move_pages() on the kernel that there is.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstring>

#include "sys/vm.h"

namespace tide::tests {
namespace {

constexpr size_t kBytes = size_t{512} << 10;

class MovePages : public testing::Test {
 protected:
  void SetUp() override {
    from = static_cast<char*>(vm.map(3 * kBytes));
    to = static_cast<char*>(vm.map(3 * kBytes));
    ASSERT_NE(from, nullptr);
    ASSERT_NE(to, nullptr);
    memset(from, 1, 3 * kBytes);
    memset(to, 2, 3 * kBytes);
  }
  void TearDown() override {
    vm.unmap(from, 3 * kBytes);
    vm.unmap(to, 3 * kBytes);
  }

  // Whether all three parts read so; but the first page of the second one, which may be lost.
  bool reads(const char* pages, char first, char second, char third) {
    for (size_t i = 0; i < kBytes; ++i) {
      if (pages[i] != first || pages[2 * kBytes + i] != third) return false;
      if (i >= vm.page_size() && pages[kBytes + i] != second) return false;
    }
    return true;
  }

  sys::LinuxVm vm;
  char* from = nullptr;
  char* to = nullptr;
};

TEST_F(MovePages, TakeThePlaceOfOthers) {
  const sys::MoveResult result = vm.move_pages(from + kBytes, to + kBytes, kBytes);
  ASSERT_EQ(result, sys::MoveResult::kMoved) << "needs Linux 5.7";
  EXPECT_TRUE(reads(from, 1, 0, 1));
  EXPECT_TRUE(reads(to, 2, 1, 2));
  // And back.
  memset(from + kBytes, 3, kBytes);
  ASSERT_EQ(vm.move_pages(to + kBytes, from + kBytes, kBytes), sys::MoveResult::kMoved);
  EXPECT_TRUE(reads(from, 1, 1, 1));
  EXPECT_TRUE(reads(to, 2, 0, 2));
  EXPECT_EQ(to[kBytes], 0);
}

// A program that wants its memory locked would find some of it not to be. The kernel is asked
// itself: the sanitizers' mlock() does nothing.
TEST_F(MovePages, WhatIsLockedStaysSo) {
  ASSERT_EQ(syscall(SYS_mlock, to + kBytes, vm.page_size()), 0);
  EXPECT_EQ(vm.move_pages(from + kBytes, to + kBytes, kBytes), sys::MoveResult::kUnchanged);
  EXPECT_TRUE(reads(from, 1, 1, 1));
  ASSERT_EQ(syscall(SYS_munlock, to + kBytes, vm.page_size()), 0);
  ASSERT_EQ(syscall(SYS_mlock, from + kBytes, kBytes), 0);
  EXPECT_EQ(vm.move_pages(from + kBytes, to + kBytes, kBytes), sys::MoveResult::kUnchanged);
  EXPECT_TRUE(reads(from, 1, 1, 1));
  memset(to + kBytes, 4, kBytes);
  ASSERT_EQ(syscall(SYS_munlock, from + kBytes, kBytes), 0);
}

// A program's own advice on a block splits the mapping. Since Linux 6.17 the pages go nevertheless.
TEST_F(MovePages, OfTwoMappingsAreMovedOrStay) {
  ASSERT_EQ(madvise(from + kBytes, kBytes / 2, MADV_DONTFORK), 0);
  const sys::MoveResult result = vm.move_pages(from + kBytes, to + kBytes, kBytes);
  if (result == sys::MoveResult::kMoved) {
    EXPECT_TRUE(reads(from, 1, 0, 1));
    EXPECT_TRUE(reads(to, 2, 1, 2));
    return;
  }
  EXPECT_TRUE(reads(from, 1, 1, 1));
  if (result == sys::MoveResult::kLost) return;
  memset(to + kBytes, 4, kBytes);
  EXPECT_TRUE(reads(to, 2, 4, 2));
}

}  // namespace
}  // namespace tide::tests
