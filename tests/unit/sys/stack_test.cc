#include "sys/stack.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <thread>
#include <vector>

#include "base/compiler.h"

// Sanitizers start threads by functions and with variables of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define TIDE_TEST_OTHER_START
#endif

namespace tide::sys {
namespace {

constexpr size_t kMostAddresses = 64;

struct TwoStacks {
  std::vector<uintptr_t> whole;
  std::vector<uintptr_t> to_start;
};

TIDE_NOINLINE void capture_both(TwoStacks& stacks) {
  stacks.whole.resize(kMostAddresses);
  stacks.whole.resize(capture_stack(stacks.whole.data(), kMostAddresses));
  stacks.to_start.resize(kMostAddresses);
  stacks.to_start.resize(capture_stack_to_start(stacks.to_start.data(), kMostAddresses));
}

TIDE_NOINLINE void nest(int depth, TwoStacks& stacks) {
  if (depth == 0) return capture_both(stacks);
  volatile char frame[24];
  frame[0] = 1;
  nest(depth - 1, stacks);
  frame[1] = frame[0];
}

std::string_view file_at(uintptr_t address) {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(address - 1), &info) == 0) return "";
  const std::string_view path = info.dli_fname;
  return path.substr(path.rfind('/') + 1);
}

[[maybe_unused]] bool is_start(uintptr_t address) {
  const std::string_view file = file_at(address);
  return file.substr(0, 7) == "libc.so" || file.substr(0, 12) == "libstdc++.so";
}

// In front are the two functions that capture and where capture_both() called them: not the same.
void expect_alike_to_start(const TwoStacks& stacks) {
  ASSERT_GT(stacks.to_start.size(), 8u);
  ASSERT_LE(stacks.to_start.size(), stacks.whole.size());
  for (size_t i = 2; i < stacks.to_start.size(); ++i) {
    ASSERT_EQ(stacks.to_start[i], stacks.whole[i]) << "frame " << i;
  }
#ifndef TIDE_TEST_OTHER_START
  // Nothing of the program's is missing but its _start.
  for (size_t i = stacks.to_start.size(); i + 1 < stacks.whole.size(); ++i) {
    EXPECT_TRUE(is_start(stacks.whole[i])) << "frame " << i << " in " << file_at(stacks.whole[i]);
  }
#endif
}

TEST(Stack, OfTheProgramGoesToItsStart) {
  TwoStacks stacks;
  nest(6, stacks);
  expect_alike_to_start(stacks);
}

TEST(Stack, OfAThreadGoesToItsStart) {
  TwoStacks stacks;
  std::thread([&stacks] { nest(6, stacks); }).join();
  expect_alike_to_start(stacks);
}

TEST(Stack, ThatIsTooLongIsCut) {
  std::vector<uintptr_t> frames(3);
  EXPECT_EQ(capture_stack_to_start(frames.data(), frames.size()), frames.size());
}

#if defined(__x86_64__) && defined(DLFO_EH_SEGMENT_TYPE) && !defined(TIDE_TEST_OTHER_START)
TEST(Stack, LeavesOutTheStartItself) {
  TwoStacks stacks;
  std::thread([&stacks] { nest(6, stacks); }).join();
  EXPECT_LT(stacks.to_start.size(), stacks.whole.size());
  EXPECT_TRUE(is_start(stacks.to_start.back()));
}
#endif

}  // namespace
}  // namespace tide::sys
