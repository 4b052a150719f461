// What is recorded is what is read back: by threads, across fork, when the arena is full, paused or
// left alone by its collector.
#include "probe/recorder.h"

#include <pthread.h>
#include <unistd.h>
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "sys/futex.h"
#include "sys/process.h"
#include "tests/unit/probe/test_arena.h"

namespace tide::probe::test {
namespace {

bool is_about_a_block(const Record& record) {
  return format::allocates(record.call) || format::releases(record.call);
}

// Events that a test records: the n-th of a thread.
constexpr uint64_t pointer_of(uint64_t thread, uint64_t n) {
  return (thread << 40) + (n * 48 % 100'000);
}
constexpr uint64_t size_of(uint64_t n) { return n * n % 5000; }

void record_some(uint64_t thread, uint64_t count) {
  for (uint64_t n = 0; n < count; ++n) {
    event(n % 3 == 2 ? Call::kFree : Call::kMalloc, pointer_of(thread, n),
          n % 3 == 2 ? 0 : size_of(n));
  }
}

// The number of events that are in the stream, all of them as record_some() wrote them.
uint64_t expect_some(const TestArena::Stream& stream, uint64_t thread) {
  uint64_t n = 0;
  uint64_t last_tick = 0;
  EXPECT_TRUE(stream.is_whole);
  EXPECT_TRUE(visit_records(stream, [&](const Record& record) {
    EXPECT_GE(record.tick, last_tick);
    last_tick = record.tick;
    if (!is_about_a_block(record)) return;
    EXPECT_EQ(n % 3 == 2 ? Call::kFree : Call::kMalloc, record.call);
    EXPECT_EQ(pointer_of(thread, n), record.pointer);
    EXPECT_EQ(n % 3 == 2 ? 0 : size_of(n), record.size);
    ++n;
  }));
  return n;
}

uint64_t count_of(const TestArena::Stream& stream, Call call, uint64_t note) {
  uint64_t count = 0;
  visit_records(stream, [&](const Record& record) {
    count += record.call == call && record.extras[0] == note;
  });
  return count;
}

uint64_t note_number(format::Note note) { return static_cast<uint64_t>(note); }

TEST(Recorder, AThreadsEventsComeBackInTheirOrder) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([] {
    record_some(1, 10'000);
    return 0;
  }));
  auto streams = arena.streams();
  ASSERT_EQ(1u, streams.size());
  const TestArena::Stream& stream = streams.begin()->second;
  EXPECT_GT(stream.packets.size(), 5u);
  EXPECT_EQ(10'000u, expect_some(stream, 1));
  EXPECT_EQ(1u, count_of(stream, Call::kProcess, 0));
  EXPECT_EQ(1u, count_of(stream, Call::kThread, 0));
  EXPECT_GT(count_of(stream, Call::kNote, note_number(format::Note::kModule)), 1u);
  const format::ProcessSlot& slot = *slots_of(*arena);
  EXPECT_EQ(getpid(), slot.parent);
  EXPECT_EQ(stream.packets.size(), slot.packets.load());
  EXPECT_EQ(0u, slot.lost.load());
}

TEST(Recorder, ExtrasAndUnusualPointers) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([] {
    ThreadStream& stream = *t_stream;
    record_slow(stream, nullptr,
                {Call::kMmap, 0x7f0000001003, 77, 0, {3, 34, 0, 1ull << 40}, 4, false});
    record_with(stream, nullptr, Call::kCalloc, 0x5000, 24, 8, 1000);
    record_sized(stream, nullptr, Call::kDelete, 0x5000, 24);
    record_sized(stream, nullptr, Call::kDeleteArray, 0, 0);
    record_slow(stream, nullptr, {Call::kDelete, 0x5000, 24, 0, {}, 0, true});
    record_slow(stream, nullptr, {Call::kBrk, 0x5001, 0, 0, {}, 0, false});
    record_note(stream, format::Note::kMarker, 0, 0, std::string(10'000, 'x'));
    return 0;
  }));
  std::vector<Record> records;
  auto streams = arena.streams();
  ASSERT_EQ(1u, streams.size());
  size_t longest = 0;
  EXPECT_TRUE(visit_records(streams.begin()->second, [&](const Record& record) {
    if (record.call >= Call::kThread) {
      longest = std::max(longest, record.text.size());
    } else {
      records.push_back(record);
    }
  }));
  ASSERT_EQ(6u, records.size());
  EXPECT_GT(longest, kSmallPacket / 2 - 200u);
  EXPECT_EQ(0x7f0000001003u, records[0].pointer);
  EXPECT_EQ(1ull << 40, records[0].extras[3]);
  EXPECT_EQ(1000u, records[1].extras[0]);
  EXPECT_EQ(32u, records[1].usable);
  EXPECT_TRUE(records[2].has_size);
  EXPECT_EQ(24u, records[2].size);
  EXPECT_TRUE(records[3].has_size);
  EXPECT_EQ(0u, records[3].pointer);
  EXPECT_TRUE(records[4].has_size);
  EXPECT_EQ(0x5001u, records[5].pointer);
}

struct Worker {
  uint64_t thread;
  uint64_t events;
};

void* work(void* argument) {
  const Worker& worker = *static_cast<Worker*>(argument);
  // As a thread of a recorded program begins.
  begin_thread(prepare_thread(nullptr, nullptr));
  record_some(worker.thread, worker.events);
  return nullptr;
}

TEST(Recorder, ThreadsAndTheirEnds) {
  TestArena arena({.packets = 256});
  constexpr uint64_t kEvents = 5000;
  EXPECT_EQ(0, arena.record([] {
    event(Call::kMalloc, 0x1000, 1);
    for (int round = 0; round < 3; ++round) {
      Worker workers[4];
      pthread_t threads[4];
      for (uint64_t i = 0; i < 4; ++i) {
        workers[i] = {i, kEvents};
        pthread_create(&threads[i], nullptr, work, &workers[i]);
      }
      for (pthread_t thread : threads) pthread_join(thread, nullptr);
    }
    return 0;
  }));
  auto streams = arena.streams();
  ASSERT_EQ(13u, streams.size());
  uint64_t events = 0;
  for (const auto& [key, stream] : streams) {
    EXPECT_EQ(1u, count_of(stream, Call::kThread, 0));
    if (key.second == 1) continue;
    uint64_t worker = 0;
    visit_records(stream, [&](const Record& record) {
      if (is_about_a_block(record)) worker = record.pointer >> 40;
    });
    events += expect_some(stream, worker);
    EXPECT_EQ(1u, count_of(stream, Call::kThread, 1));
  }
  EXPECT_EQ(12 * kEvents, events);
  // Those of the first two rounds were handed in when the next began.
  uint32_t full = 0;
  for (uint32_t i = 0; i < arena->packet_count; ++i) {
    const uint32_t thread = packet_at(*arena, i)->thread;
    const format::PacketState state = states_of(*arena)[i].load();
    if (state == format::PacketState::kFree) continue;
    full += state == format::PacketState::kFull;
    if (thread > 1 && thread < 6) EXPECT_EQ(format::PacketState::kFull, state) << thread;
  }
  EXPECT_GT(full, 12u);
}

TEST(Recorder, AForkedChildIsAProcessOfItsOwn) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([] {
    record_some(1, 100);
    const pid_t child = fork();
    if (child == 0) {
      record_some(2, 50);
      // And a child of the child, which has recorded nothing when it forks.
      if (fork() == 0) {
        record_some(3, 25);
        _exit(0);
      }
      int status;
      wait(&status);
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return 0;
  }));
  auto streams = arena.streams();
  ASSERT_EQ(3u, streams.size());
  EXPECT_EQ(100u, expect_some(streams.at({1, 1}), 1));
  EXPECT_EQ(50u, expect_some(streams.at({2, 1}), 2));
  EXPECT_EQ(25u, expect_some(streams.at({3, 1}), 3));
  const format::ProcessSlot* const slots = slots_of(*arena);
  EXPECT_EQ(slots[0].pid, slots[1].parent);
  EXPECT_EQ(slots[1].pid, slots[2].parent);
}

TEST(Recorder, DropsWhenFullAndSaysSo) {
  TestArena arena({.packets = 4, .flags = format::kDropWhenFull});
  EXPECT_EQ(0, arena.record([&] {
    record_some(1, 20'000);
    const uint64_t lost = slots_of(*arena)->lost.load();
    if (lost == 0 || lost == 20'000) return 1;
    // The collector takes one.
    states_of(*arena)[2].store(format::PacketState::kFree);
    arena->freed.fetch_add(1);
    event(Call::kMalloc, 0x1230, 1);
    return slots_of(*arena)->lost.load() == lost ? 0 : 2;
  }));
  uint64_t noted = 0;
  uint64_t kept = 0;
  bool is_last = false;
  for (const auto& [key, stream] : arena.streams()) {
    visit_records(stream, [&](const Record& record) {
      if (record.call == Call::kNote && record.extras[0] == note_number(format::Note::kLost)) {
        noted += record.extras[1];
      }
      kept += is_about_a_block(record);
      is_last = record.pointer == 0x1230;
    });
  }
  EXPECT_TRUE(is_last);
  EXPECT_EQ(slots_of(*arena)->lost.load(), noted);
  EXPECT_LT(kept, 20'000u);
}

TEST(Recorder, WaitsForTheCollector) {
  TestArena arena({.packets = 2});
  std::atomic<bool> is_over{false};
  uint64_t taken = 0;
  // Sleeps when there is nothing to do, as the real one does.
  std::thread collector([&] {
    while (!is_over.load()) {
      arena->collector_waits.store(1);
      for (uint32_t i = 0; i < arena->packet_count; ++i) {
        if (states_of(*arena)[i].load() != format::PacketState::kFull) continue;
        const format::PacketHead* const head = packet_at(*arena, i);
        format::RecordReader reader(reinterpret_cast<const uint8_t*>(head + 1),
                                    head->committed.load(), head->first_tick);
        Record record;
        while (reader.next(record)) taken += is_about_a_block(record);
        states_of(*arena)[i].store(format::PacketState::kFree);
        arena->freed.fetch_add(1);
        if (arena->threads_wait.load() != 0) sys::futex_wake_shared(&arena->freed);
      }
      const uint32_t seen = arena->filled.load();
      sys::futex_wait_shared(&arena->filled, seen, 1'000'000);
    }
  });
  EXPECT_EQ(0, arena.record([] {
    record_some(1, 50'000);
    return 0;
  }));
  is_over.store(true);
  collector.join();
  for (const auto& [key, stream] : arena.streams()) {
    visit_records(stream, [&](const Record& record) { taken += is_about_a_block(record); });
  }
  EXPECT_EQ(50'000u, taken);
  EXPECT_EQ(0u, slots_of(*arena)->lost.load());
}

TEST(Recorder, ACollectorThatIsGoneIsNotWaitedFor) {
  TestArena arena({.packets = 2, .has_collector = false});
  EXPECT_EQ(0, arena.record([] {
    const uint64_t before = sys::monotonic_ns();
    record_some(1, 20'000);
    // One time-out, not one for each event.
    return sys::monotonic_ns() - before < 2'000'000'000 ? 0 : 1;
  }));
  EXPECT_GT(slots_of(*arena)->lost.load(), 0u);
}

TEST(Recorder, PacketsOfOtherThreadsAreNotWaitedFor) {
  TestArena arena({.packets = 2});
  // Both are with threads that fill them.
  states_of(*arena)[0].store(format::PacketState::kOwned);
  states_of(*arena)[1].store(format::PacketState::kOwned);
  EXPECT_EQ(0, arena.record([] {
    record_some(1, 100);
    return 0;
  }));
  EXPECT_EQ(100u, slots_of(*arena)->lost.load());
}

TEST(Recorder, WhatHappensInAPauseIsNotRecorded) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([&] {
    event(Call::kMalloc, 0x1000, 1);
    if (pause_recording(*t_stream) != ControlResult::kDone || is_recording()) return 1;
    event(Call::kMalloc, 0x2000, 2);
    if (resume_recording(*t_stream) != ControlResult::kDone) return 2;
    event(Call::kMalloc, 0x3000, 3);
    // From outside.
    arena->control.store(format::Control::kPause);
    event(Call::kMalloc, 0x4000, 4);
    arena->control.store(format::Control::kRecord);
    event(Call::kMalloc, 0x5000, 5);
    if (stop_recording() != ControlResult::kDone) return 3;
    event(Call::kMalloc, 0x6000, 6);
    return resume_recording(*t_stream) == ControlResult::kNotRecording ? 0 : 4;
  }));
  uint64_t sum = 0;
  auto streams = arena.streams();
  const TestArena::Stream& stream = streams.at({1, 1});
  visit_records(stream, [&](const Record& record) {
    if (is_about_a_block(record)) sum = sum * 10 + record.size;
  });
  EXPECT_EQ(135u, sum);
  EXPECT_EQ(1u, count_of(stream, Call::kNote, note_number(format::Note::kPause)));
  EXPECT_EQ(1u, count_of(stream, Call::kNote, note_number(format::Note::kResume)));
  EXPECT_EQ(0u, slots_of(*arena)->lost.load());
}

TEST(Recorder, MoreProcessesThanSlotsAreCountedAsLost) {
  TestArena arena({});
  for (uint32_t i = 0; i < kProcesses; ++i) {
    slots_of(*arena)[i].pid = getppid();
    slots_of(*arena)[i].state.store(format::ProcessState::kLive);
  }
  EXPECT_EQ(0, arena.record([] {
    record_some(1, 10);
    return 0;
  }));
  EXPECT_EQ(10u, arena->lost.load());
  EXPECT_TRUE(arena.streams().empty());
}

TEST(Recorder, ANewProgramEndsTheOneBeforeIt) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([&] {
    slots_of(*arena)[0].pid = getpid();
    slots_of(*arena)[0].pid_namespace = sys::pid_namespace();
    slots_of(*arena)[0].state.store(format::ProcessState::kLive);
    record_some(1, 1);
    return 0;
  }));
  EXPECT_EQ(format::ProcessState::kEnded, slots_of(*arena)[0].state.load());
  EXPECT_EQ(format::ProcessState::kLive, slots_of(*arena)[1].state.load());
}

TEST(Recorder, AProcessOfThatNumberInAnotherNamespaceGoesOn) {
  TestArena arena({});
  EXPECT_EQ(0, arena.record([&] {
    slots_of(*arena)[0].pid = getpid();
    slots_of(*arena)[0].pid_namespace = sys::pid_namespace() + 1;
    slots_of(*arena)[0].state.store(format::ProcessState::kLive);
    record_some(1, 1);
    return 0;
  }));
  EXPECT_EQ(format::ProcessState::kLive, slots_of(*arena)[0].state.load());
  EXPECT_EQ(format::ProcessState::kLive, slots_of(*arena)[1].state.load());
  EXPECT_NE(0u, slots_of(*arena)[1].pid_namespace);
}

}  // namespace
}  // namespace tide::probe::test
