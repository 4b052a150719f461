// Workloads of random histories against a model: what waits must be enough for any order in which
// threads may run, and no operation waits for nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "host/error.h"
#include "replay/workload_reader.h"
#include "tests/unit/trace/history.h"
#include "tests/unit/trace/vector_stream.h"
#include "trace/workload_slots.h"
#include "trace/workload_writer.h"

namespace tide::trace {
namespace {

using format::WorkloadOperation;
using replay::WorkloadReader;

class WorkloadTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  format::WorkloadHead write(std::vector<Event> events) {
    const std::unique_ptr<EventSource> source = source_of(std::move(events));
    WorkloadWriter writer(path_);
    while (const Event* event = source->next()) writer.add(*event);
    writer.finish(*source);
    return writer.head();
  }
  std::string error() {
    try {
      const WorkloadReader reader(path_);
      WorkloadOperation operation;
      for (size_t i = 0; i < reader.threads().size(); ++i) {
        auto operations = reader.operations(i);
        while (operations.next(operation)) {
        }
      }
    } catch (const host::Error& e) {
      return e.what();
    }
    return {};
  }

  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("tide-workload-" + std::to_string(getpid()) +
                        testing::UnitTest::GetInstance()->current_test_info()->name() + ".tidew"))
                          .string();
};

using Clock = std::map<uint32_t, uint64_t>;  // operations done, by thread

struct Step {
  uint32_t thread;
  uint64_t number;
  WorkloadOperation operation;
  Clock after;  // what must have happened by then
};

// All operations, each with what its waits imply; in an order that the waits allow.
std::vector<Step> order(const WorkloadReader& reader) {
  std::vector<WorkloadReader::Operations> threads;
  std::vector<WorkloadOperation> next(reader.threads().size());
  std::vector<bool> has_next;
  std::vector<std::vector<Clock>> clocks(reader.threads().size());
  for (size_t i = 0; i < reader.threads().size(); ++i) {
    threads.push_back(reader.operations(i));
    has_next.push_back(threads[i].next(next[i]));
  }
  std::vector<Step> steps;
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t i = 0; i < threads.size(); ++i) {
      while (has_next[i]) {
        const WorkloadOperation& operation = next[i];
        const uint64_t done = clocks[i].size();
        Clock clock = done == 0 ? Clock{} : clocks[i].back();
        if (operation.wait_thread != WorkloadOperation::kNone) {
          if (clocks[operation.wait_thread].size() < operation.wait_operations) break;
          for (const auto& [thread, count] :
               clocks[operation.wait_thread][operation.wait_operations - 1]) {
            clock[thread] = std::max(clock[thread], count);
          }
        }
        clock[i] = done + 1;
        clocks[i].push_back(clock);
        steps.push_back({i, done, operation, clock});
        has_next[i] = threads[i].next(next[i]);
        moved = true;
      }
    }
  }
  for (const bool left : has_next) EXPECT_FALSE(left) << "threads wait for each other";
  return steps;
}

// Who touched a slot last.
struct Touch {
  uint32_t thread;
  uint64_t number;
  bool is_full;
};

TEST_F(WorkloadTest, WaitsAreEnoughAndNotTooMany) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const uint32_t thread_count = static_cast<uint32_t>(1 + seed % 6);
    HistoryMaker maker({.seed = seed,
                        .threads = thread_count,
                        .most_live = seed % 3 == 0 ? size_t{20} : size_t{2000},
                        .foreign_percent = static_cast<uint32_t>(seed % 4 * 30)});
    std::vector<Event> events;
    const auto put = [&](const Happening& happening) { events.push_back(event_of(happening)); };
    for (int i = 0; i < 6'000; ++i) maker.step(put);
    const format::WorkloadHead head = write(std::move(events));
    const HistoryMaker::Count& count = maker.count();
    ASSERT_EQ(head.allocations, count.allocations);
    ASSERT_EQ(head.live_bytes, count.live_bytes);
    ASSERT_EQ(head.peak_bytes, count.peak_bytes);
    ASSERT_EQ(head.left_out, 0u);
    ASSERT_LE(head.slots, head.peak_blocks + head.peak_blocks / 4 + 1024);

    const WorkloadReader reader(path_);
    std::map<uint32_t, Touch> slots;
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> waited;
    std::map<Call, uint64_t> calls;
    for (const Step& step : order(reader)) {
      const WorkloadOperation& operation = step.operation;
      ++calls[operation.call];
      const bool releases = format::releases(operation.call);
      const bool needs_full =
          releases || (operation.call == Call::kRealloc && operation.has_old_block);
      const auto found = slots.find(operation.slot);
      if (needs_full) {
        ASSERT_NE(found, slots.end());
        ASSERT_TRUE(found->second.is_full);
      }
      bool is_needed = false;
      if (found != slots.end()) {
        const Touch& last = found->second;
        // Enough: whatever the threads' speeds, the touch before this one has happened before it.
        const auto known = step.after.find(last.thread);
        ASSERT_TRUE(known != step.after.end() && known->second > last.number)
            << "seed " << seed << ", operation " << step.number << " of " << step.thread;
        ASSERT_EQ(last.is_full, needs_full);
        is_needed = needs_full && last.thread != step.thread &&
                    operation.wait_thread == last.thread &&
                    operation.wait_operations == last.number + 1;
      }
      if (operation.wait_thread != WorkloadOperation::kNone) {
        // Not too many: for this very block (a slot that is taken over stands for more of them),
        // and for more than the thread has waited for already.
        ASSERT_TRUE(is_needed || !needs_full);
        uint64_t& before = waited[{step.thread, operation.wait_thread}];
        ASSERT_GT(operation.wait_operations, before);
        before = operation.wait_operations;
      }
      slots[operation.slot] = {step.thread, step.number, !releases};
    }
    for (const auto& [call, number] : count.calls) {
      const Call recorded = call == Call::kNewArray ? Call::kNewForm : call;
      ASSERT_EQ(calls[recorded], number) << format::call_name(call);
    }
  }
}

TEST_F(WorkloadTest, KeepsWhatAnOperationIs) {
  const auto make = [](uint64_t time_ns, Call call, uint64_t pointer, uint64_t size,
                       std::vector<uint64_t> extras = {}) {
    return event_of({.thread = 7,
                     .tick = time_ns,
                     .call = call,
                     .pointer = pointer,
                     .size = size,
                     .slack = 5,
                     .extras = std::move(extras)});
  };
  write({make(100, Call::kMalloc, 64, 10), make(150, Call::kPosixMemalign, 256, 20, {128, 0}),
         make(170, Call::kCalloc, 512, 8, {3}),
         make(200, Call::kNewForm, 1024, 40, {format::kFormAligned | format::kFormArray, 4096}),
         make(210, Call::kFree, 0, 0), make(230, Call::kRealloc, 0, 99),
         make(231, Call::kReallocDone, 2048, 0), make(300, Call::kFree, 4096, 0),
         make(400, Call::kFree, 64, 0)});
  const WorkloadReader reader(path_);
  EXPECT_EQ(reader.head().left_out, 1u);  // 4096 is nobody's
  ASSERT_EQ(reader.threads().size(), 1u);
  EXPECT_EQ(reader.threads()[0].number, 7u);
  auto operations = reader.operations(0);
  std::vector<WorkloadOperation> all;
  for (WorkloadOperation operation; operations.next(operation);) all.push_back(operation);
  ASSERT_EQ(all.size(), 7u);
  EXPECT_EQ(all[0].call, Call::kMalloc);
  EXPECT_EQ(all[0].delta_ns, 100u);
  EXPECT_EQ(all[0].size, 10u);
  EXPECT_EQ(all[0].usable, 15u);
  EXPECT_EQ(all[1].delta_ns, 50u);
  EXPECT_EQ(all[1].alignment, 128u);
  EXPECT_EQ(all[2].size, 24u);
  EXPECT_EQ(all[2].count, 3u);
  EXPECT_EQ(all[3].form, format::kFormAligned | format::kFormArray);
  EXPECT_EQ(all[3].alignment, 4096u);
  EXPECT_EQ(all[4].slot, WorkloadOperation::kNone);
  EXPECT_EQ(all[5].call, Call::kRealloc);
  EXPECT_FALSE(all[5].has_old_block);
  EXPECT_EQ(all[5].size, 99u);
  EXPECT_EQ(all[6].slot, all[0].slot);
}

TEST_F(WorkloadTest, WhatIsDamagedIsSaid) {
  std::vector<Event> events;
  HistoryMaker maker({.threads = 3});
  const auto put = [&](const Happening& happening) { events.push_back(event_of(happening)); };
  for (int i = 0; i < 3'000; ++i) maker.step(put);
  write(std::move(events));
  ASSERT_EQ(error(), "");
  std::ifstream in(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  std::mt19937_64 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    if (i % 3 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    std::ofstream(path_, std::ios::binary) << bytes;
    EXPECT_THAT(error(), testing::HasSubstr(path_)) << i;
  }
}

TEST(WorkloadSlots, AProducerAndAConsumerNeedFewAndWaitRarely) {
  WorkloadSlots slots;
  uint64_t waits = 0;
  for (uint64_t i = 0; i < 100'000; ++i) {
    const WorkloadSlots::Taken taken = slots.take(0, i);
    if (taken.thread != WorkloadSlots::kNobody) {
      EXPECT_EQ(taken.thread, 1u);
      EXPECT_LT(taken.operations + 100, i);  // long ago
      ++waits;
    }
    slots.give(1, taken.slot, i);
  }
  EXPECT_LT(slots.count(), 1100u);
  EXPECT_LT(waits, 1000u);
}

}  // namespace
}  // namespace tide::trace
