// Workloads of random histories against a model: what waits must be enough for any order in which
// threads may run, and no operation waits for nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "host/error.h"
#include "replay/survey.h"
#include "replay/workload_reader.h"
#include "tests/unit/trace/history.h"
#include "tests/unit/trace/vector_stream.h"
#include "trace/memory_samples.h"
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

TEST_F(WorkloadTest, SurveyKnowsTheCurveOfLiveBytes) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    HistoryMaker maker({.seed = seed,
                        .threads = static_cast<uint32_t>(1 + seed % 5),
                        .most_live = size_t{200},
                        .foreign_percent = static_cast<uint32_t>(seed % 4 * 30)});
    std::vector<Event> events;
    const auto put = [&](const Happening& happening) { events.push_back(event_of(happening)); };
    for (int i = 0; i < 9'000; ++i) maker.step(put);
    const format::WorkloadHead head = write(std::move(events));
    const WorkloadReader reader(path_);
    const replay::Survey survey = replay::survey(reader, [](uint64_t) {});
    ASSERT_EQ(survey.window_live.size(), survey.window_ends.size());
    ASSERT_GT(survey.window_ends.size(), 5u) << "seed " << seed;

    std::vector<int64_t> wanted(survey.window_ends.size());
    std::map<uint32_t, uint64_t> sizes;
    std::map<uint32_t, uint64_t> times;
    for (const Step& step : order(reader)) {
      const WorkloadOperation& operation = step.operation;
      const uint64_t time = times[step.thread] += operation.delta_ns;
      if (operation.slot == WorkloadOperation::kNone) continue;
      uint64_t& size = sizes[operation.slot];
      const uint64_t before = size;
      size = format::releases(operation.call) ? 0 : operation.size;
      wanted[replay::window_of(survey.window_ends, time)] += static_cast<int64_t>(size - before);
    }
    EXPECT_EQ(survey.window_live, wanted) << "seed " << seed;
    EXPECT_EQ(std::accumulate(wanted.begin(), wanted.end(), int64_t{0}),
              static_cast<int64_t>(head.live_bytes));
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

Event note_of(uint64_t time_ns, format::Note note, uint64_t number, uint64_t second,
              std::string_view text = {}) {
  Event event{};
  event.call = Call::kNote;
  event.thread = 1;
  event.time_ns = time_ns;
  event.extras[0] = static_cast<uint64_t>(note);
  event.extras[1] = number;
  event.extras[2] = second;
  event.text = text;
  if (note == format::Note::kTouched) {
    event.pointer = number;
    event.size = second;
  }
  return event;
}

Event call_of(uint64_t time_ns, Call call, uint64_t pointer, uint64_t size, uint32_t thread = 1) {
  Event event{};
  event.call = call;
  event.thread = thread;
  event.time_ns = time_ns;
  event.pointer = pointer;
  event.size = event.usable = size;
  return event;
}

TEST_F(WorkloadTest, KeepsWhatWasTouchedOfLargeBlocks) {
  constexpr uint64_t kLarge = 1 << 20;
  const auto touched = [](uint64_t time_ns, uint64_t pointer, uint64_t bytes) {
    return note_of(time_ns, format::Note::kTouched, pointer, bytes);
  };
  write({call_of(1, Call::kMalloc, 0x10000, kLarge),   // 0: in part, by another thread
         call_of(2, Call::kMalloc, 0x20000, 100),      // 1: small
         call_of(3, Call::kMalloc, 0x300000, kLarge),  // 2: all of it
         call_of(4, Call::kMalloc, 0x500000, kLarge),  // 3: nobody says
         call_of(5, Call::kMalloc, 0x700000, kLarge),  // 4: live at the end, none of it
         call_of(6, Call::kMalloc, 0x900000, kLarge),  // 5: live at the end, nobody says
         call_of(7, Call::kMalloc, 0xb00000, kLarge),  // 6: first in part, then more
         touched(10, 0xb00000, 4096),
         call_of(11, Call::kRealloc, 0xb00000, 2 * kLarge),
         call_of(12, Call::kReallocDone, 0xd00000, 0),  // 7: all of it
         touched(13, 0x10000, 8192),
         call_of(14, Call::kFree, 0x10000, 0, 2),
         touched(15, 0x300000, kLarge),
         call_of(16, Call::kFree, 0x300000, 0),
         call_of(17, Call::kFree, 0x500000, 0),
         touched(18, 0xd00000, 100),
         touched(18, 0xd00000, 2 * kLarge),  // what is said last is so
         call_of(19, Call::kFree, 0xd00000, 0),
         touched(20, 0x700000, 0),
         touched(20, 0xf00000, 0)});  // nobody's
  const WorkloadReader reader(path_);
  EXPECT_EQ(reader.head().flags, format::kTouchesRecorded);
  auto operations = reader.operations(0);
  std::vector<uint64_t> all;
  for (WorkloadOperation operation; operations.next(operation);) {
    if (!format::releases(operation.call)) all.push_back(operation.touched);
  }
  constexpr uint64_t kNotKnown = WorkloadOperation::kNotKnown;
  EXPECT_EQ(all, (std::vector<uint64_t>{8192, kNotKnown, kLarge, kNotKnown, 0, kNotKnown, 4096,
                                        2 * kLarge}));
}

TEST_F(WorkloadTest, WithoutAWordAboutTouchesNothingIsKnown) {
  write({call_of(1, Call::kMalloc, 0x10000, 1 << 20), call_of(2, Call::kFree, 0x10000, 0)});
  const WorkloadReader reader(path_);
  EXPECT_EQ(reader.head().flags, 0u);
  WorkloadOperation operation;
  ASSERT_TRUE(reader.operations(0).next(operation));
  EXPECT_EQ(operation.touched, WorkloadOperation::kNotKnown);
}

TEST_F(WorkloadTest, KeepsWhatTheProgramHadAndRanOn) {
  std::vector<Event> events = {note_of(0, format::Note::kAllocator, 0, 0, "/lib/liba.so")};
  for (uint64_t i = 0; i <= 100; ++i) {
    static std::vector<std::string> texts;
    texts.reserve(101);
    texts.push_back(sample_text({0, 0, i * 1000, i == 50 ? 999'999 : i * 2000, 5'000'000 * i}));
    events.push_back(
        note_of(10'000'000 * i, format::Note::kMemory, i * 2000, i * 3000, texts.back()));
  }
  events.push_back(call_of(1'000'000'001, Call::kMalloc, 64, 10));
  write(std::move(events));
  const WorkloadReader reader(path_);
  EXPECT_EQ(reader.allocator(), "/lib/liba.so");
  EXPECT_EQ(reader.head().rss_max_bytes, 999'999u);
  EXPECT_DOUBLE_EQ(format::recorded_parallelism(reader.head()), 0.5);
  ASSERT_EQ(reader.samples().size(), 101u);
  const format::WorkloadSample& sample = reader.samples()[7];
  EXPECT_EQ(sample.time_ns, 70'000'000u);
  EXPECT_EQ(sample.rss_bytes, 14'000u);
  EXPECT_EQ(sample.anonymous_bytes, 7'000u);
  EXPECT_EQ(sample.vm_bytes, 21'000u);
  EXPECT_EQ(sample.cpu_ns, 35'000'000u);
  EXPECT_EQ(reader.head().operations, 1u);
}

TEST(MemorySamples, HoursOfThemStayFewAndKeepThePeak) {
  MemorySamples samples;
  for (uint64_t i = 0; i < 200'000; ++i) {
    const std::string text = sample_text({0, 0, 5, i == 123'456 ? 900u : 1u, i});
    samples.add(note_of(i, format::Note::kMemory, i == 123'456 ? 800 : 1, 7, text));
  }
  EXPECT_LE(samples.all().size(), 2 * MemorySamples::kMost);
  EXPECT_GE(samples.all().size(), MemorySamples::kMost / 2);
  EXPECT_EQ(samples.rss_max(), 900u);
  EXPECT_EQ(samples.span_ns(), 199'999u);
  EXPECT_EQ(samples.cpu_ns(), 199'999u);
  std::vector<MemorySamples::Sample> few = samples.all();
  thin(few, 100, [](const auto& sample) { return sample.rss; });
  EXPECT_LE(few.size(), 100u);
  EXPECT_EQ(std::count_if(few.begin(), few.end(), [](const auto& s) { return s.rss == 800; }), 1);
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
