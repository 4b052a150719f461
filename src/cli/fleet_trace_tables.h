// The tables of `tide info`, counted by the fleet's database.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/trace_view.h"
#include "fleet/store.h"

namespace tide::cli {

struct StoredTrace {
  int64_t trace = 0;
  std::string name;
  std::string host;
  int64_t processes = 0;
  int64_t events = 0;
  int64_t start_ns = 0;
  int64_t time_ns = 0;
};

// Those that are there whole, the newest first.
std::vector<StoredTrace> stored_traces(fleet::Store& store);

// The numbers of its processes.
std::vector<int64_t> trace_processes(fleet::Store& store, int64_t trace);

// `most` call stacks for each question.
TraceTables stored_tables(fleet::Store& store, int64_t trace, int64_t process, size_t most);

}  // namespace tide::cli
