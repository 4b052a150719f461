// Looks at the memory of all recorded processes every ten milliseconds, from a thread of its own:
// the collector may be busy with packets for longer. After kAtOneStep samples of a process the time
// between two of them doubles, and again after as many, so that a program which runs for days has
// some hundred thousand.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "format/memory_sample.h"
#include "trace/arena_owner.h"
#include "trace/process_memory.h"

namespace tide::trace {

class ProcessSampler {
 public:
  static constexpr std::chrono::milliseconds kFirstStep{10};
  static constexpr uint64_t kAtOneStep = 10'000;
  struct Sample {
    uint64_t tick;
    format::MemorySample memory;
  };

  // `arena` has to stay.
  explicit ProcessSampler(ArenaOwner& arena);
  ~ProcessSampler();
  ProcessSampler(const ProcessSampler&) = delete;
  ProcessSampler& operator=(const ProcessSampler&) = delete;

  // What there is of a process since the last call, in the order of time.
  std::vector<Sample> take(uint32_t number);
  // The last ones; the process is over.
  std::vector<Sample> finish(uint32_t number);

 private:
  using Clock = std::chrono::steady_clock;
  struct Process {
    explicit Process(int32_t pid, uint64_t arena_bytes) : memory(pid, arena_bytes) {}
    ProcessMemory memory;
    std::vector<Sample> samples;
    uint64_t taken = 0;
    Clock::time_point next{};
    bool is_over = false;
  };

  void run();
  void look_for_processes();
  void sample(Process& process, Clock::time_point now);

  ArenaOwner& arena_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool must_stop_ = false;
  std::unordered_set<uint32_t> seen_;  // numbers of processes
  std::map<uint32_t, Process> processes_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tide::trace
