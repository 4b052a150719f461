// A trace goes to the database in batches whose ids follow from the trace: the same command sends
// what is missing. The row in `traces` comes last; before it nobody sees the trace.

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "cli/fleet_import.h"
#include "cli/fleet_trace_rows.h"
#include "cli/trace_input.h"
#include "fleet/shipper.h"
#include "host/error.h"
#include "host/progress.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

using fleet::Batch;
using fleet::TableId;

// Of a batch: large ones are what ClickHouse likes.
constexpr size_t kEventsOfBatch = size_t{1} << 18;

// Of a file, or of all files of a folder.
uintmax_t bytes_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return fs::file_size(path, error);
  uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    if (entry.is_regular_file(error)) bytes += entry.file_size(error);
  }
  return bytes;
}

// The same trace has the same text, whoever sends it from where.
std::string text_of(const TraceInput& input, const std::string& path) {
  std::string text;
  for (size_t i = 0; i < input.processes(); ++i) {
    const std::unique_ptr<trace::EventSource> source = input.open(i);
    const trace::ProcessIdentity& process = source->process();
    text += fmt::format("{}\n{}\n{}\n{}\n", process.number, process.pid, process.program,
                        process.start_ns);
  }
  return text + std::to_string(bytes_of(path));
}

class Sender {
 public:
  Sender(fleet::Store& store, std::string host, int64_t trace)
      : store_(store), host_(std::move(host)), trace_(trace) {}

  Batch batch(const std::string& name) const {
    return {fmt::format("trace-{:016x}-{}", trace_, name), host_, {}};
  }
  void send(const Batch& batch) { apply_patiently(store_, batch); }

 private:
  fleet::Store& store_;
  const std::string host_;
  const int64_t trace_;
};

int64_t send_process(const TraceInput& input, size_t index, int64_t trace, int64_t time_ns,
                     Sender& sender) {
  const std::unique_ptr<trace::EventSource> source = input.open(index);
  const uint32_t number = source->process().number;
  TraceRows rows(trace, number, time_ns);
  host::Progress progress{host::Terminal(STDERR_FILENO)};
  progress.begin_share("sending");
  size_t batches = 0;
  Batch batch = sender.batch(fmt::format("{}-{}", number, batches));
  size_t count = 0;
  const auto flush = [&] {
    batch.rows(TableId::kTraceEvents).set_size(count);
    sender.send(batch);
    batch = sender.batch(fmt::format("{}-{}", number, ++batches));
    count = 0;
    progress.reach(source->progress());
  };
  fleet::Rows* events = &batch.rows(TableId::kTraceEvents);
  while (const trace::Event* const event = source->next()) {
    rows.add(*event, *events);
    if (++count < kEventsOfBatch) continue;
    flush();
    events = &batch.rows(TableId::kTraceEvents);
  }
  if (count != 0) flush();
  Batch last = sender.batch(fmt::format("{}-end", number));
  rows.finish(*source, last);
  sender.send(last);
  return rows.events();
}

}  // namespace

bool apply_patiently(fleet::Store& store, const Batch& batch) {
  constexpr uint64_t kMostMs = 60'000;
  uint64_t waited_ms = 0;
  for (unsigned failures = 0;;) {
    try {
      return store.apply(batch);
    } catch (const fleet::Unavailable&) {
      const uint64_t pause_ms = fleet::backoff_ms(++failures);
      if (waited_ms + pause_ms > kMostMs) throw;
      waited_ms += pause_ms;
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    }
  }
}

SentTrace send_trace(fleet::Store& store, const std::string& path, const std::string& host,
                     bool salvages) {
  TraceInput::Options options;
  options.salvage = salvages;
  const TraceInput input(path, options);
  SentTrace sent;
  sent.trace = fleet::number_of(text_of(input, path));
  Sender sender(store, host, sent.trace);
  Batch whole = sender.batch("whole");
  if (store.has(whole.id)) {
    sent.was_there = true;
    return sent;
  }
  const auto time_ns = static_cast<int64_t>(now_since_1970());
  uint64_t start_ns = 0;
  for (size_t i = 0; i < input.processes(); ++i) {
    if (i == 0) start_ns = input.open(i)->process().start_ns;
    sent.events += send_process(input, i, sent.trace, time_ns, sender);
  }
  add_call_names(whole);
  const std::filesystem::path name = std::filesystem::path(path).lexically_normal();
  whole.rows(TableId::kTraces)
      .add({sent.trace, (name.has_filename() ? name : name.parent_path()).filename().string(), host,
            static_cast<int64_t>(input.processes()), sent.events, static_cast<int64_t>(start_ns),
            time_ns});
  sender.send(whole);
  return sent;
}

}  // namespace tide::cli
