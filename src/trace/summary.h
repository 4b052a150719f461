// What `tide info` says of a process's events, counted in one pass.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trace/call_counts.h"
#include "trace/event_source.h"
#include "trace/histogram.h"
#include "trace/memory_samples.h"
#include "trace/peak.h"
#include "trace/timeline.h"

namespace tide::trace {

struct ThreadFigures {
  int64_t tid = 0;
  std::string name;
  uint64_t calls = 0;
  uint64_t allocations = 0;
  uint64_t allocated_bytes = 0;
  uint64_t releases = 0;
  uint64_t foreign_releases = 0;  // of blocks that other threads allocated
};

struct ReallocFigures {
  uint64_t moved = 0;
  uint64_t in_place = 0;
  uint64_t moved_bytes = 0;  // that had to be copied, at most
  uint64_t grown = 0;
  uint64_t shrunk = 0;
  uint64_t failed = 0;
  uint64_t longest_chain = 0;  // how often one block was reallocated
};

struct StackFigures {
  uint64_t allocations = 0;
  uint64_t allocated_bytes = 0;
  uint64_t temporary = 0;
};

struct Marker {
  uint64_t time_ns;
  std::string text;
};

// Figures that add up over processes.
struct Totals {
  CallCounts calls;
  uint64_t events = 0;
  uint64_t allocations = 0;  // that succeeded, with what reallocs gave
  uint64_t allocated_bytes = 0;
  uint64_t releases = 0;
  uint64_t failed_allocations = 0;
  uint64_t null_releases = 0;
  uint64_t temporary = 0;
  uint64_t foreign_releases = 0;
  uint64_t initial_blocks = 0;  // live at the start: see Note::kLive
  uint64_t initial_bytes = 0;
  uint64_t paths[format::kPathCount] = {};  // of allocations; those not known are kFast
  uint64_t mapped_bytes = 0;
  uint64_t unmapped_bytes = 0;
  uint64_t lost_events = 0;
  uint64_t leaked_blocks = 0;
  uint64_t leaked_bytes = 0;
  Histogram sizes;      // of allocations
  Histogram lifetimes;  // of blocks that went
  ReallocFigures reallocs;
  Oddities oddities;

  void add(const Totals& other);
};

// Whether the allocator said which path calls took: only Tide does.
inline bool knows_paths(const Totals& totals) {
  return std::any_of(totals.paths + 1, totals.paths + format::kPathCount,
                     [](uint64_t count) { return count != 0; });
}

class Summary {
 public:
  void add(const Event& event);
  // After the last event.
  void finish(const EventSource& source);

  const Totals& totals() const { return totals_; }
  const Peak& peak() const { return peak_; }
  const Timeline& timeline() const { return timeline_; }
  const std::vector<StackFigures>& stacks() const { return stacks_; }  // by number
  // Those that had events, by their numbers.
  const std::map<uint32_t, ThreadFigures>& threads() const { return shown_threads_; }
  const MemorySamples& memory() const { return memory_; }
  const std::vector<Marker>& markers() const { return markers_; }
  const std::string& allocator() const { return allocator_; }
  uint64_t begin_ns() const { return begin_ns_; }
  uint64_t end_ns() const { return end_ns_; }

 private:
  struct Thread {
    ThreadFigures figures;
    uint64_t last_pointer = 0;  // of its last allocation
  };

  void came(const Event& event, Thread& thread, uint64_t chain);
  void gone(const Event& event, Thread& thread, uint64_t pointer);
  void moved(const Event& event, Thread& thread);
  void note(const Event& event, Thread& thread);
  // To that of the event.
  Thread& change_thread(const Event& event);

  Totals totals_;
  Peak peak_;
  Timeline timeline_;
  std::vector<StackFigures> stacks_;
  std::vector<Thread> threads_;
  uint64_t last_thread_ = UINT64_MAX;  // whose event was the last one, and where it is in threads_
  uint32_t number_ = 0;
  std::map<uint32_t, ThreadFigures> shown_threads_;
  std::vector<uint32_t> chains_;  // by slot: how often the block was reallocated
  MemorySamples memory_;
  std::vector<Marker> markers_;
  std::string allocator_;
  uint64_t noted_losses_ = 0;
  uint64_t begin_ns_ = 0;
  uint64_t end_ns_ = 0;
};

}  // namespace tide::trace
