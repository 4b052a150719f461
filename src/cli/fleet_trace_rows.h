// Events of a trace as rows of the fleet's database.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fleet/batch.h"
#include "trace/event_source.h"

namespace tide::cli {

// One process of a trace.
class TraceRows {
 public:
  TraceRows(int64_t trace, uint32_t process, int64_t time_ns)
      : trace_(trace), process_(process), time_ns_(time_ns) {}

  // A row of trace_events.
  void add(const trace::Event& event, fleet::Rows& rows);
  // After the last event: what there is besides events.
  void finish(const trace::EventSource& source, fleet::Batch& batch);

  int64_t events() const { return events_; }

 private:
  struct Thread {
    int32_t tid = 0;
    std::string name;
    uint64_t last_pointer = 0;  // of its last allocation
  };
  struct Text {
    uint64_t at_ns;
    std::string text;
    int64_t rss = 0;  // of a look at the memory
    int64_t vm = 0;
  };
  struct Effect;

  Thread& thread_of(const trace::Event& event);
  void set_came(const trace::Event& event, Thread& thread, uint32_t chain, Effect& effect);
  void set_gone(const trace::Event& event, uint64_t pointer, const Thread& thread, Effect& effect);
  void set_moved(const trace::Event& event, Thread& thread, Effect& effect);
  void set_note(const trace::Event& event, Thread& thread, Effect& effect);
  void note_stack(uint32_t stack);

  const int64_t trace_;
  const uint32_t process_;
  const int64_t time_ns_;
  std::vector<Thread> threads_;
  std::vector<uint32_t> chains_;  // by slot
  std::vector<bool> stacks_;      // those that occur
  std::vector<Text> memory_;
  std::vector<Text> markers_;
  std::string allocator_;
  int64_t events_ = 0;
  int64_t own_events_ = 0;
  int64_t allocations_ = 0;
  int64_t allocated_bytes_ = 0;
  int64_t live_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  uint64_t noted_losses_ = 0;
  uint64_t begin_ns_ = 0;
  uint64_t end_ns_ = 0;
};

// The names of all calls.
void add_call_names(fleet::Batch& batch);

}  // namespace tide::cli
