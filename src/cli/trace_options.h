// What `tide trace` was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trace/arena_owner.h"

namespace tide::cli {

struct TraceOptions {
  std::string folder;      // empty: one that is named after the program
  std::string to;          // tcp://HOST:PORT instead
  std::string token_file;  // empty: $TIDE_TRACE_TOKEN
  // Of a database behind --to; empty: $TIDE_FLEET_PASSWORD.
  std::string password_file;
  bool is_plain_allowed = false;
  trace::ArenaSettings arena;
  std::string library;  // empty: our own
  std::vector<std::string> preloads;
  std::string allocator;
  uint64_t most_bytes = 0;
  std::optional<double> seconds;
  bool is_quiet = false;
  bool as_json = false;

  // --pid
  std::optional<int> process;
  bool has_no_live = false;
  bool repairs = false;
  // --collect
  std::optional<uint16_t> port;
  std::string bind_to = "127.0.0.1";
  // --control
  std::string control;
};

// Runs the program and records it. Returns its exit status, or Tide's own.
int record_program(const TraceOptions& options, const std::vector<std::string>& program);

// Records a process that runs already. Returns Tide's exit status.
int record_process(const TraceOptions& options);

// Receives traces until it is interrupted.
int collect_traces(const TraceOptions& options);

}  // namespace tide::cli
