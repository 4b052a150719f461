// What `tide top` shows: a sample of processes, as a table or as JSON.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "host/proc.h"
#include "host/terminal.h"
#include "walk/heap_reader.h"

namespace tide::cli {

struct TopRow {
  int pid = 0;
  std::string command;
  std::string container;  // empty: in none that is known
  uint64_t rss_bytes = 0;
  walk::HeapFigures figures;
};

struct TopSample {
  std::vector<TopRow> rows;
  size_t denied = 0;  // processes that may not be read, on Tide or not
};

// Takes samples of the same processes again and again.
class TopSampler {
 public:
  // No numbers: all processes on Tide that may be read.
  TopSampler(const host::Proc& proc, std::vector<int> pids)
      : proc_(proc), pids_(std::move(pids)), is_named_(!pids_.empty()) {}

  // The first time a process that was named and cannot be shown is an Error; later it has ended and
  // is left out.
  TopSample take();
  // All that were named have ended.
  bool is_over() const { return is_named_ && pids_.empty(); }

 private:
  TopRow read(int pid);

  const host::Proc& proc_;
  std::vector<int> pids_;
  bool is_named_;
  bool is_first_ = true;
};

// Greatest RSS first. `height`: most rows, the rest is counted below them.
std::string top_table(const TopSample& sample, const host::Terminal& terminal, size_t height);

// One line.
std::string top_json(const TopSample& sample);

// The size classes that hold most, such as "96:312.4M 64:10.2M"; "pages" and "huge" are what is in
// no class.
std::string largest_holders(const walk::HeapFigures& figures, size_t most);

}  // namespace tide::cli
