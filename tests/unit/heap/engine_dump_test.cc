// Free memory is left out of cores, live blocks never are, and the mappings that it costs are few.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <map>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "tests/unit/engine_client.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

using heap::DumpSteps;

class EngineDump : public testing::Test {
 protected:
  // Blocks of about `bytes` each.
  std::vector<void*> fill(size_t bytes, size_t total) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < total / bytes; ++i) {
      blocks.push_back(box.client.allocate(bytes));
      add(blocks.back());
    }
    return blocks;
  }
  void add(void* block) {
    ASSERT_NE(block, nullptr);
    live[base::address_of(block)] = box.engine->usable_bytes(block);
  }
  void release(void* block) {
    live.erase(base::address_of(block));
    ASSERT_EQ(box.client.release(block), heap::Released::kDone);
  }

  // No live block, not a byte of one.
  bool all_live_are_dumped() {
    const Ranges left_out = box.os.left_out();
    return std::all_of(left_out.map().begin(), left_out.map().end(), [&](const auto& range) {
      auto block = live.lower_bound(range.second);
      if (block == live.begin()) return true;
      --block;
      return block->first + block->second <= range.first;
    });
  }
  size_t left_out_bytes() { return box.os.left_out().bytes(); }
  size_t most_ranges() {
    auto& space = box.engine->space();
    // The large zone is what the small and the mid one are not.
    return DumpSteps::most_ranges(space.small.mapped_bytes()) +
           DumpSteps::most_ranges(space.mid.mapped_bytes()) +
           DumpSteps::most_ranges(box.os.mapped_bytes() - space.small.mapped_bytes() -
                                  space.mid.mapped_bytes());
  }
  void rest() {
    for (int i = 0; i < 1000 && box.engine->look(); ++i) {
    }
  }

  StartedBox box;
  std::map<uintptr_t, size_t> live;
};

TEST_F(EngineDump, WhatIsFreeIsLeftOutAndComesBackWhenItIsTaken) {
  for (const size_t bytes : {size_t{1000}, size_t{16'000}, size_t{500'000}}) {
    const size_t before = left_out_bytes();
    const auto blocks = fill(bytes, 64 * kMiB);
    EXPECT_TRUE(all_live_are_dumped()) << bytes;
    for (void* block : blocks) release(block);
    EXPECT_EQ(left_out_bytes(), before) << "not before it was given back";
    box.client.purge();
    EXPECT_GE(left_out_bytes() - before, 60 * kMiB) << bytes;
    const auto again = fill(bytes, 64 * kMiB);
    EXPECT_TRUE(all_live_are_dumped()) << bytes;
    EXPECT_LE(left_out_bytes() - before, 8 * kMiB) << bytes;
    for (void* block : again) release(block);
    box.client.purge();
    EXPECT_GE(left_out_bytes() - before, 60 * kMiB) << bytes;
  }
  const uint64_t calls = box.os.calls();
  box.client.purge();
  EXPECT_EQ(box.os.calls(), calls) << "no system call for nothing";
}

TEST_F(EngineDump, GrowthTakesACallForEachStepAtMost) {
  for (void* block : fill(1000, 64 * kMiB)) release(block);
  box.client.purge();
  const uint64_t before = box.os.calls(VmCall::kSetDumped);
  fill(1000, 64 * kMiB);
  EXPECT_LE(box.os.calls(VmCall::kSetDumped) - before, 72 * kMiB / DumpSteps::kStepBytes);
}

// Little is mapped ahead, for it is in cores, and yet the calls are few.
TEST_F(EngineDump, GrowthMapsSeldom) {
  for (const size_t bytes : {size_t{1000}, size_t{16'000}, size_t{500'000}}) {
    const uint64_t before = box.os.calls();
    fill(bytes, 64 * kMiB);
    EXPECT_LE(box.os.calls() - before, 110u) << bytes;
    const uint64_t at_64 = box.os.calls();
    fill(bytes, 128 * kMiB);
    EXPECT_LE(box.os.calls() - at_64, 80u) << bytes << ": 4 to 8 MiB at a time, and records";
  }
}

TEST_F(EngineDump, SmallHeapsAreLeftAlone) {
  for (const size_t bytes : {size_t{1000}, size_t{16'000}, size_t{500'000}}) {
    for (void* block : fill(bytes, kMiB)) release(block);
  }
  box.client.purge();
  EXPECT_EQ(box.os.calls(VmCall::kSetDumped), 0u);
}

TEST_F(EngineDump, TheBackgroundDoesIt) {
  const auto blocks = fill(3000, 100 * kMiB);
  const size_t half = blocks.size() / 2;
  for (size_t i = 0; i < half; ++i) release(blocks[i]);
  rest();
  EXPECT_GE(left_out_bytes(), 40 * kMiB);
  EXPECT_TRUE(all_live_are_dumped());
}

// A block every 6 MiB: there would be very many ranges.
TEST_F(EngineDump, RangesAreFew) {
  const auto blocks = fill(kMiB, 240 * kMiB);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 6 != 0) release(blocks[i]);
  }
  box.client.purge();
  EXPECT_EQ(box.os.left_out().map().size(), DumpSteps::most_ranges(240 * kMiB));
  EXPECT_TRUE(all_live_are_dumped());
}

// Long ranges that are broken in their middle again and again.
TEST_F(EngineDump, RangesStayFewWhenTheyAreBroken) {
  const auto blocks = fill(kMiB, 240 * kMiB);
  for (void* block : blocks) release(block);
  box.client.purge();
  ASSERT_EQ(box.os.left_out().map().size(), 1u);
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    // Alignment leads to places in the middle.
    add(box.client.allocate_aligned((size_t{1} << random() % 5) * kMiB, 1 + random() % (3 * kMiB)));
    EXPECT_TRUE(all_live_are_dumped());
    EXPECT_LE(box.os.left_out().map().size(), DumpSteps::most_ranges(240 * kMiB) + 1);
    if (live.size() > 10) release(reinterpret_cast<void*>(live.begin()->first));
    if (i % 50 == 0) box.client.purge();
  }
}

TEST_F(EngineDump, LiveBlocksAreDumpedAfterEachOfManySteps) {
  std::mt19937 random(11);
  std::vector<std::vector<void*>> groups;
  const int steps = base::kThreadSanitizer ? 400 : 2500;  // it is slow with many nodes of maps
  for (int step = 0; step < steps; ++step) {
    const unsigned kind = random() % 100;
    if (kind < 55 || groups.empty()) {
      const size_t bytes = size_t{1} << (4 + random() % 18);
      const size_t total = std::max(bytes, random() % 8 * kMiB);
      groups.push_back(fill(bytes + random() % bytes, total));
    } else if (kind < 94) {
      std::swap(groups[random() % groups.size()], groups.back());
      for (void* block : groups.back()) release(block);
      groups.pop_back();
    } else if (kind < 97) {
      std::vector<void*>& group = groups[random() % groups.size()];
      for (size_t i = 0; i < group.size() && i < 20; ++i) {
        const size_t bytes = box.engine->usable_bytes(group[i]);
        live.erase(base::address_of(group[i]));
        group[i] = box.client.reallocate(group[i], bytes + random() % (2 * bytes));
        add(group[i]);
      }
    } else if (kind < 99) {
      rest();
    } else {
      box.client.purge();
    }
    // All that may live in the windows of this test.
    while (live.size() > 60'000 || groups.size() > 40) {
      for (void* block : groups.front()) release(block);
      groups.erase(groups.begin());
    }
    ASSERT_TRUE(all_live_are_dumped()) << "step " << step;
    ASSERT_LE(box.os.left_out().map().size(), most_ranges() + 3) << "step " << step;
  }
  EXPECT_GT(box.os.calls(VmCall::kSetDumped), static_cast<size_t>(steps) * 2 / 25);
  box.engine->verify();
  for (const auto& group : groups) {
    for (void* block : group) release(block);
  }
  box.client.purge();
  auto& space = box.engine->space();
  EXPECT_GE(left_out_bytes() + 60 * kMiB, space.small.mapped_bytes() + space.mid.mapped_bytes());
}

TEST_F(EngineDump, ASystemThatRefusesCostsNothingButTheHint) {
  const auto blocks = fill(1000, 64 * kMiB);
  for (void* block : blocks) release(block);
  box.os.fail_kind(VmCall::kSetDumped);
  box.client.purge();
  EXPECT_EQ(left_out_bytes(), 0u);
  box.os.heal();
  fill(1000, 64 * kMiB);
  EXPECT_TRUE(all_live_are_dumped());
  box.engine->verify();
}

TEST_F(EngineDump, WhatCouldNotComeBackComesWithTheNextCall) {
  for (const size_t bytes : {size_t{1000}, size_t{500'000}}) {
    for (void* block : fill(bytes, 64 * kMiB)) release(block);
    box.client.purge();
    box.os.fail_kind(VmCall::kSetDumped);
    fill(bytes, 32 * kMiB);
    EXPECT_FALSE(all_live_are_dumped());
    box.os.heal();
    fill(bytes, 16 * kMiB);
    EXPECT_TRUE(all_live_are_dumped());
  }
}

// A mapping that can't be split, as when the system allows no more of them.
TEST_F(EngineDump, AWholeRangeComesWhereItCannotBeSplit) {
  for (void* block : fill(kMiB, 64 * kMiB)) release(block);
  box.client.purge();
  ASSERT_GE(left_out_bytes(), 60 * kMiB);
  const uint64_t calls = box.os.calls();
  box.os.fail_calls(calls + 1);
  fill(kMiB, kMiB);
  EXPECT_EQ(box.os.failures(), 1u);
  EXPECT_EQ(left_out_bytes(), 0u);
}

// Unmapped and mapped again: nothing is left out that was not marked anew.
TEST_F(EngineDump, AddressesThatWereGivenUpAreDumped) {
  for (void* block : fill(1000, 64 * kMiB)) release(block);
  for (void* block : fill(kMiB, 64 * kMiB)) release(block);
  box.client.purge();
  ASSERT_GE(left_out_bytes(), 120 * kMiB);
  // Memory runs out: all that is free is unmapped, and the call is tried again.
  box.os.fail_kind(VmCall::kMap);
  EXPECT_EQ(box.client.allocate(40 * kMiB), nullptr);
  EXPECT_EQ(left_out_bytes(), 0u);
  box.os.heal();
  fill(1000, 64 * kMiB);
  fill(kMiB, 64 * kMiB);
  EXPECT_TRUE(all_live_are_dumped());
}

// A child that is forked while another thread leaves memory out, or brings it back.
TEST_F(EngineDump, AForkedChildKnowsWhatIsLeftOut) {
  if (base::kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer does not support this kind of fork";
  for (const size_t bytes : {size_t{1000}, size_t{500'000}}) {
    for (int nth = 1; nth <= 12; nth += 3) {
      for (void* block : fill(bytes, 64 * kMiB)) release(block);
      std::binary_semaphore inside{0};
      std::binary_semaphore go_on{0};
      int left = nth;
      box.os.set_hook([&](const FakeOs::Event& event) {
        if (event.call != VmCall::kSetDumped || --left != 0) return;
        inside.release();
        go_on.acquire();
      });
      std::thread other([&] {
        box.engine->purge(nullptr);
        Client client(*box.engine);
        std::vector<void*> blocks;
        for (size_t i = 0; i < 30 * kMiB / bytes; ++i) blocks.push_back(client.allocate(bytes));
        for (void* block : blocks) client.release(block);
        client.park();
        if (left > 0) inside.release();  // never came by
      });
      inside.acquire();
      EXPECT_LE(left, 0);
      const pid_t child = fork();
      if (child == 0) {
        alarm(100);
        box.os.set_hook(nullptr);
        box.engine->repair_in_child(box.client.cache());
        fill(bytes, 40 * kMiB);
        const bool good = all_live_are_dumped();
        box.engine->verify();
        box.client.purge();
        _exit(good && all_live_are_dumped() ? 0 : 1);
      }
      go_on.release();
      other.join();
      box.os.set_hook(nullptr);  // the other thread was inside of it
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0) << bytes << ", call " << nth;
      EXPECT_TRUE(all_live_are_dumped());
    }
  }
}

}  // namespace
}  // namespace tide::tests
