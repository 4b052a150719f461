// Questions about the memory of a fleet: who has it, what has changed, how it went, and which call
// stacks grow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/store.h"

namespace tide::fleet {

// Which rows are looked at; what is empty does not matter.
struct Selection {
  int64_t from_ns = 0;  // both ends are in it
  int64_t to_ns = INT64_MAX;
  std::string host;
  std::string service;
  std::string version;
  std::string container;
};

enum class By { kHost, kService, kVersion, kCommand, kContainer, kProcess, kStack, kClass };

// The time of the newest row; 0: there is none.
int64_t newest(Store& store, TableId table);

// What processes have now: of each the last row of the selection.
struct TopRow {
  std::string name;   // empty for a stack
  int64_t stack = 0;  // of kStack
  int64_t processes = 0;
  int64_t rss_bytes = 0;  // those from here on: 0 for stacks and classes
  int64_t live_bytes = 0;
  int64_t live_blocks = 0;
  int64_t cached_bytes = 0;
  int64_t free_dirty_bytes = 0;
  int64_t returned_bytes = 0;
  int64_t metadata_bytes = 0;
  int64_t error_bytes = 0;  // of an estimate: one standard deviation
};
// Most live bytes first.
std::vector<TopRow> top_rows(Store& store, By by, const Selection& selection, size_t most);

// Live bytes of a process, on average over its rows, before and after.
struct DifferenceRow {
  std::string name;
  int64_t stack = 0;
  double before = 0;
  double after = 0;
};
// The greatest change first.
std::vector<DifferenceRow> difference_rows(Store& store, By by, const Selection& before,
                                           const Selection& after, size_t most);

// Sums over all processes, step by step; of each process the last row in a step.
struct TimeRow {
  int64_t time_ns = 0;  // where the step begins
  int64_t processes = 0;
  int64_t rss_bytes = 0;
  int64_t live_bytes = 0;
  int64_t cached_bytes = 0;
  int64_t free_dirty_bytes = 0;
  int64_t returned_bytes = 0;
  int64_t metadata_bytes = 0;
};
std::vector<TimeRow> time_rows(Store& store, const Selection& selection, int64_t step_ns);

// A call stack that grows: in at least `steps` steps in a row of time, most of them upwards.
struct LeakRow {
  int64_t stack = 0;
  int64_t hosts = 0;  // where it grows
  int64_t processes = 0;
  int64_t live_bytes = 0;     // of these, in the last step
  int64_t grown_bytes = 0;    // since the first
  double bytes_per_step = 0;  // of all of them together
};
struct LeakSearch {
  int64_t step_ns = 0;
  int64_t steps = 3;
  int64_t least_bytes = 1 << 20;  // that a stack must have grown by, over all processes
  int64_t least_hosts = 1;
};
// On most hosts first, then by growth.
std::vector<LeakRow> leak_rows(Store& store, const Selection& selection, const LeakSearch& search,
                               size_t most);

// The functions of call stacks, the innermost first, in the order of `stacks`.
std::vector<std::vector<std::string>> stack_functions(Store& store,
                                                      const std::vector<int64_t>& stacks);
// The same for the member `stack` of rows.
template <class Row>
std::vector<std::vector<std::string>> stack_functions_of(Store& store,
                                                         const std::vector<Row>& rows) {
  std::vector<int64_t> stacks;
  for (const Row& row : rows) stacks.push_back(row.stack);
  return stack_functions(store, stacks);
}

// The column that rows are put together by, and what one of its values is called.
std::string_view column_of(By by);
std::string name_of(By by, const ResultCell& cell);
// The condition that a row is in the selection.
std::string condition_of(const Selection& selection, const Dialect& dialect);

}  // namespace tide::fleet
