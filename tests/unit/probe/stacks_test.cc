// Call stacks: found by frame pointers without leaving the stack, numbered once each.
#include <cstdlib>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/mix.h"
#include "probe/stack_numbers.h"
#include "sys/frames.h"
#include "sys/thread.h"
#include "tests/unit/probe/test_arena.h"

namespace tide::probe::test {
namespace {

// A stack of our own making: pairs at the given places, each pointing to the next.
class FakeStack {
 public:
  FakeStack() : words_(512) {}
  uintptr_t at(size_t index) const { return reinterpret_cast<uintptr_t>(&words_[index]); }
  void pair(size_t index, uintptr_t caller, uintptr_t address) {
    words_[index] = caller;
    words_[index + 1] = address;
  }
  sys::StackBounds bounds() const { return {at(0), at(0) + words_.size() * sizeof(uintptr_t)}; }
  std::vector<uintptr_t> walk(size_t most) const {
    std::vector<uintptr_t> frames(most);
    const sys::FrameChain chain =
        sys::walk_frames(reinterpret_cast<const void*>(at(0)), bounds(), frames.data(), most);
    frames.resize(chain.count);
    return frames;
  }

 private:
  std::vector<uintptr_t> words_;
};

TEST(Frames, FollowsTheChain) {
  FakeStack stack;
  stack.pair(0, stack.at(10), 0x10001);
  stack.pair(10, stack.at(30), 0x10002);
  stack.pair(30, stack.at(40), 0x10003);
  stack.pair(40, 0, 0x10004);
  EXPECT_EQ((std::vector<uintptr_t>{0x10001, 0x10002, 0x10003, 0x10004}), stack.walk(16));
  EXPECT_EQ((std::vector<uintptr_t>{0x10001, 0x10002}), stack.walk(2));
}

TEST(Frames, StopsAtWhatIsNoFrame) {
  FakeStack stack;
  for (const uintptr_t caller : {stack.at(0), stack.at(0) - 8, stack.at(511), stack.bounds().high,
                                 stack.at(10) + 1, uintptr_t{0x5555}, UINTPTR_MAX - 7}) {
    stack.pair(0, caller, 0x10001);
    EXPECT_EQ((std::vector<uintptr_t>{0x10001}), stack.walk(16)) << std::hex << caller;
  }
  stack.pair(0, stack.at(510), 0x10001);
  stack.pair(510, 0, 0);
  EXPECT_EQ((std::vector<uintptr_t>{0x10001}), stack.walk(16));
}

TEST(Frames, OnAnUnknownStackStaysOnThePage) {
  alignas(4096) static uintptr_t page[1024];
  uintptr_t frames[4];
  page[500] = reinterpret_cast<uintptr_t>(&page[504]);
  page[501] = 0x10001;
  page[504] = reinterpret_cast<uintptr_t>(&page[600]);  // on the next one
  page[505] = 0x10002;
  const sys::FrameChain chain = sys::walk_frames(&page[500], {1, 2}, frames, 4);
  EXPECT_EQ(2u, chain.count);
  // The last pair of the page, and one that reaches over its end.
  page[510] = reinterpret_cast<uintptr_t>(&page[600]);
  page[511] = 0x10003;
  EXPECT_EQ(1u, sys::walk_frames(&page[510], {1, 2}, frames, 4).count);
  page[512] = 0x10004;
  EXPECT_EQ(1u, sys::walk_frames(&page[511], {1, 2}, frames, 4).count);
}

TEST(Frames, KnowsTheThreadsOwnStack) {
  char here;
  const auto inside = reinterpret_cast<uintptr_t>(&here);
  const sys::StackBounds bounds = sys::stack_bounds(inside);
  EXPECT_LT(bounds.low, inside);
  EXPECT_GT(bounds.high, inside);
  const sys::StackBounds none = sys::stack_bounds(16);
  EXPECT_EQ(none.low, none.high);
}

// What is told without the list of mappings is a part of what the list says.
TEST(Frames, KnowsTheStacksUpperPartWithoutAList) {
  const auto look = [] {
    char here;
    const auto inside = reinterpret_cast<uintptr_t>(&here);
    const sys::StackBounds all = sys::stack_bounds(inside);
    const sys::StackBounds near =
        sys::near_stack_bounds(inside, sys::is_main_thread(sys::thread_number()));
    if (near.high == 0) return;
    EXPECT_LT(near.low, inside);
    EXPECT_GT(near.high, inside);
    EXPECT_LE(near.high, all.high);
  };
  look();
  std::thread(look).join();
  if (std::getenv("TIDE_EMULATOR") != nullptr) {
    GTEST_SKIP() << "an emulator puts programs and their memory right below the stack";
  }
  // Memory that is no stack.
  static char elsewhere[256];
  std::vector<char> heap(256);
  EXPECT_EQ(0u, sys::near_stack_bounds(reinterpret_cast<uintptr_t>(elsewhere + 128), true).high);
  EXPECT_EQ(0u, sys::near_stack_bounds(reinterpret_cast<uintptr_t>(heap.data() + 128), true).high);
}

std::vector<uintptr_t> any_stack(std::mt19937_64& random) {
  // Few different frames, so that many stacks have most of them in common.
  std::vector<uintptr_t> frames(1 + random() % 16);
  for (uintptr_t& frame : frames) frame = 0x400000 + random() % 4 * 16;
  return frames;
}

TEST(StackNumbers, EachStackIsWhatItsNumberSays) {
  TestArena arena({.packets = 1024, .stacks = format::StackKind::kFramePointers});
  constexpr uint64_t kSeed = 11;
  constexpr int kEvents = 20'000;
  EXPECT_EQ(0, arena.record([] {
    std::mt19937_64 random(kSeed);
    ThreadStream& stream = *t_stream;
    event(Call::kMalloc, 0x1000, 1);
    for (int i = 0; i < kEvents; ++i) {
      const std::vector<uintptr_t> frames = any_stack(random);
      uint64_t hash = 0;
      for (const uintptr_t frame : frames) hash = sys::hash_frame(hash, frame);
      if (static_cast<size_t>(stream.end - stream.cursor.at) < kMostStackRecord + 200 &&
          !next_packet(*g_recording.arena, *slots_of(*g_recording.arena), stream, now())) {
        return 1;
      }
      const uint64_t stack =
          number_stack(stream, frames.data(), frames.size(), base::mix(hash), now());
      format::put_record(stream.cursor, Call::kFree, now(), 0x1000, 0, 0, stack << 3);
      publish(stream);
    }
    return 0;
  }));
  std::mt19937_64 random(kSeed);
  std::vector<std::vector<uintptr_t>> stacks(1);
  int events = 0;
  auto streams = arena.streams();
  EXPECT_TRUE(visit_records(streams.at({1, 1}), [&](const Record& record) {
    if (record.call == Call::kStack) {
      std::string_view rest = record.frames;
      uint64_t frame = 0;
      stacks.emplace_back();
      while (format::next_frame(rest, &frame)) stacks.back().push_back(frame);
    } else if (record.call == Call::kFree) {
      ++events;
      const std::vector<uintptr_t> expected = any_stack(random);
      ASSERT_LT(record.stack, stacks.size());
      EXPECT_EQ(expected, stacks[record.stack]);
    }
  }));
  EXPECT_EQ(kEvents, events);
  // The table was emptied several times, and yet stacks were found again.
  EXPECT_GT(stacks.size(), 2 * kStackSlots);
  EXPECT_LT(stacks.size(), size_t{kEvents});
}

TEST(StackNumbers, ASecondThreadDoesNotFindTheFirstOnes) {
  TestArena arena({.packets = 64, .stacks = format::StackKind::kFramePointers});
  EXPECT_EQ(0, arena.record([] {
    event(Call::kMalloc, 0x1000, 1);
    // Both on the same stream's memory, one after the other.
    for (int i = 0; i < 2; ++i) {
      pthread_t thread;
      pthread_create(
          &thread, nullptr,
          [](void*) -> void* {
            begin_thread(prepare_thread(nullptr, nullptr));
            event(Call::kMalloc, 0x2000, 1);
            return nullptr;
          },
          nullptr);
      pthread_join(thread, nullptr);
    }
    return 0;
  }));
  for (const auto& [key, stream] : arena.streams()) {
    uint64_t defined = 0;
    EXPECT_TRUE(visit_records(stream, [&](const Record& record) {
      defined += record.call == Call::kStack;
      EXPECT_LE(record.stack, defined);
      if (record.call == Call::kMalloc) EXPECT_NE(0u, record.stack);
    }));
  }
}

}  // namespace
}  // namespace tide::probe::test
