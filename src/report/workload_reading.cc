#include <algorithm>
#include <queue>

#include "report/workload_section.h"

namespace tide::report {
namespace {

using format::WorkloadOperation;
using trace::Call;

struct Block {
  uint64_t size = 0;
  uint64_t time_ns = 0;
  uint32_t thread = 0;
  bool is_live = false;
};

// A thread's next operation.
struct Turn {
  uint64_t time_ns;
  uint32_t thread;
  bool operator>(const Turn& other) const {
    return time_ns != other.time_ns ? time_ns > other.time_ns : thread > other.thread;
  }
};

class Pass {
 public:
  Pass(const replay::WorkloadReader& workload, WorkloadReading& reading)
      : blocks_(workload.head().slots), reading_(reading) {
    reading_.threads.resize(workload.threads().size());
  }

  void add(const WorkloadOperation& operation, uint32_t thread, uint64_t time_ns) {
    // Threads' clocks agree, but who waits for another may be a little before it.
    now_ = std::max(now_, time_ns);
    reading_.heat.reach(now_, live_sizes_);
    WorkloadThreadFigures& figures = reading_.threads[thread];
    figures.waits += operation.wait_thread != WorkloadOperation::kNone ? 1 : 0;
    count(operation);
    if (format::releases(operation.call)) {
      ++figures.releases;
      if (operation.slot < blocks_.size()) release(blocks_[operation.slot], figures, thread);
    } else if (operation.slot < blocks_.size()) {
      Block& block = blocks_[operation.slot];
      if (block.is_live) drop(block);
      block = {operation.size, now_, thread, true};
      ++figures.allocations;
      figures.allocated_bytes += operation.size;
      live_sizes_.add(operation.size);
      live_bytes_ += operation.size;
      reading_.sizes.add(operation.size);
      reading_.heat.came(operation.size);
    }
    reading_.timeline.add(now_, true, live_bytes_);
  }
  void finish() { reading_.heat.finish(live_sizes_); }

 private:
  void count(const WorkloadOperation& operation) {
    const bool is_array = (operation.form & format::kFormArray) != 0;
    Call call = operation.call;
    if (call == Call::kNewForm) call = is_array ? Call::kNewArray : Call::kNew;
    if (call == Call::kDeleteForm) call = is_array ? Call::kDeleteArray : Call::kDelete;
    reading_.calls.add(call);
  }
  void drop(Block& block) {
    live_sizes_.remove(block.size);
    live_bytes_ -= block.size;
    block.is_live = false;
  }
  void release(Block& block, WorkloadThreadFigures& figures, uint32_t thread) {
    if (!block.is_live) return;
    figures.foreign_releases += block.thread != thread ? 1 : 0;
    reading_.lifetimes.add(now_ - block.time_ns);
    reading_.heat.gone(block.size, now_ - block.time_ns);
    drop(block);
  }

  std::vector<Block> blocks_;
  WorkloadReading& reading_;
  trace::Histogram live_sizes_;
  uint64_t live_bytes_ = 0;
  uint64_t now_ = 0;
};

}  // namespace

WorkloadReading read_workload(const replay::WorkloadReader& workload,
                              const std::function<void(double)>& progress) {
  WorkloadReading reading;
  Pass pass(workload, reading);
  std::vector<replay::WorkloadReader::Operations> threads;
  std::vector<WorkloadOperation> next(workload.threads().size());
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (uint32_t thread = 0; thread < next.size(); ++thread) {
    threads.push_back(workload.operations(thread));
    if (threads[thread].next(next[thread])) turns.push({next[thread].delta_ns, thread});
  }
  uint64_t done = 0;
  while (!turns.empty()) {
    Turn turn = turns.top();
    turns.pop();
    // A thread goes on while it is the earliest.
    for (;;) {
      pass.add(next[turn.thread], turn.thread, turn.time_ns);
      if ((++done & 0xfffff) == 0) {
        progress(static_cast<double>(done) / static_cast<double>(workload.head().operations));
      }
      if (!threads[turn.thread].next(next[turn.thread])) break;
      turn.time_ns += next[turn.thread].delta_ns;
      if (!turns.empty() && turn > turns.top()) {
        turns.push(turn);
        break;
      }
    }
  }
  pass.finish();
  return reading;
}

}  // namespace tide::report
