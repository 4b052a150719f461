// Threads of the workload programs: start together, run until told to stop, hand blocks over.
//
// Owns: the start line (std::barrier), the stop flag, and Mailbox, a ring from one thread to one
// other that neither allocates nor locks, so that what is measured is the allocator.
// Used by: the programs of this folder.
#pragma once

#include <sched.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "harness.h"

namespace tide::bench {

// One sender, one receiver.
class Mailbox {
 public:
  explicit Mailbox(uint32_t capacity = 1024)  // a power of two
      : mask_(capacity - 1), slots_(new void*[capacity]) {}

  bool try_send(void* block) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) > mask_)
      return false;  // pairs with try_receive
    slots_[head & mask_] = block;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  void* try_receive() {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return nullptr;  // pairs with try_send
    void* const block = slots_[tail & mask_];
    tail_.store(tail + 1, std::memory_order_release);
    return block;
  }

 private:
  const uint32_t mask_;
  std::unique_ptr<void*[]> slots_;
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
};

// Runs body(thread index, stop flag) in each thread. All start behind one line; after `seconds`
// the flag goes up; between the line and the last thread's end the meter runs. `body` splits in
// three so that filling and emptying stay outside: prepare(i), run(i, stop), and finish(i).
// Returns the sum of what run returned (operations).
template <class Prepare, class Run, class Finish>
uint64_t run_threads(Meter& meter, uint32_t threads, double seconds, Prepare prepare, Run run,
                     Finish finish) {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> operations{0};
  std::barrier line(threads + 1);
  std::vector<std::thread> workers;
  workers.reserve(threads);
  for (uint32_t i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      prepare(i);
      line.arrive_and_wait();
      operations += run(i, stop);
      line.arrive_and_wait();
      finish(i);
    });
  }
  line.arrive_and_wait();
  meter.start();
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop.store(true, std::memory_order_relaxed);
  line.arrive_and_wait();
  meter.stop();
  for (std::thread& worker : workers) worker.join();
  return operations.load();
}

}  // namespace tide::bench
