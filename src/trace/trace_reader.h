// Traces as `tide trace` writes them: the folder, a process's folder in it, or an events.tide.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trace/event_source.h"
#include "trace/events_file.h"
#include "trace/merge.h"
#include "trace/read_ahead.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"
#include "trace/thread_events.h"

namespace tide::trace {

// A process of a trace: a program in it, to be exact.
struct TraceProcess {
  std::string events_path;
  ProcessIdentity identity;
};

// The processes in `path`, by their numbers. Empty: it is no trace. Throws host::Error for one that
// can't be read.
std::vector<TraceProcess> find_processes(const std::string& path);

// The events of one of them. Memory: its live blocks, and a chunk for each thread that runs. Chunks
// are unpacked ahead, on other processors.
class TraceReader : public EventSource {
 public:
  TraceReader(const TraceProcess& process, EventsFile::Mode mode);

  // Events beside those of the file. Before the first next().
  void add(std::unique_ptr<ThreadStream> stream) { merge_.add(std::move(stream)); }

  const Event* next() override;
  const LiveTable& live() const override { return merge_.live(); }
  const StackTable& stacks() const override { return stacks_; }
  const SymbolTable& symbols() const override { return symbols_; }
  const ProcessIdentity& process() const override { return process_; }
  Oddities oddities() const override;
  double progress() const override;

 private:
  // More threads than these have a little memory each, and nobody reads ahead.
  static constexpr size_t kFewThreads = 64;

  EventsFile file_;
  TickScale scale_;
  ProcessIdentity process_;
  StackTable stacks_;
  SymbolTable symbols_;
  std::optional<ReadAhead> ahead_;  // of few threads
  Merge merge_;
  uint64_t damaged_ = 0;
  uint64_t records_ = 0;
  uint64_t events_ = 0;
};

}  // namespace tide::trace
