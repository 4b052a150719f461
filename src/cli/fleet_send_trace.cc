// A trace goes to the database in batches whose ids follow from the trace: the same command sends
// what is missing, and what was sent while it was recorded is not sent again. The row in `traces`
// comes last; before it nobody sees the trace.

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <thread>

#include "cli/fleet_import.h"
#include "cli/fleet_trace_rows.h"
#include "cli/trace_input.h"
#include "fleet/shipper.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/progress.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

using fleet::Batch;
using fleet::TableId;

// Of a batch: large ones are what ClickHouse likes, small ones come while the program runs.
constexpr size_t kEventsOfBatch = size_t{1} << 18;
constexpr size_t kEventsWhileRecording = size_t{1} << 16;

// In the folder of a trace that was sent while it was recorded: its number, and events of a batch.
constexpr std::string_view kMark = "fleet-trace";

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

// How a trace is cut into batches: the same whoever sends it when.
struct Cut {
  int64_t trace = 0;
  size_t events = kEventsOfBatch;
};

std::optional<Cut> marked_cut(const std::string& path) {
  std::ifstream in(std::filesystem::path(path) / kMark);
  Cut cut;
  if (!(in >> cut.trace >> cut.events) || cut.events == 0) return std::nullopt;
  return cut;
}

class Sender {
 public:
  Sender(fleet::Store& store, std::string host, Cut cut)
      : store_(store), host_(std::move(host)), cut_(cut) {}

  const Cut& cut() const { return cut_; }
  Batch batch(const std::string& name) const {
    return {fmt::format("trace-{:016x}-{}", cut_.trace, name), host_, {}};
  }
  Batch batch(uint32_t process, size_t number) const {
    return batch(fmt::format("{}-{}", process, number));
  }
  bool is_patient = true;
  void send(const Batch& batch) {
    is_patient ? apply_patiently(store_, batch) : store_.apply(batch);
  }

 private:
  fleet::Store& store_;
  const std::string host_;
  const Cut cut_;
};

int64_t send_process(const TraceInput& input, size_t index, int64_t time_ns, Sender& sender) {
  const std::unique_ptr<trace::EventSource> source = input.open(index);
  const uint32_t number = source->process().number;
  TraceRows rows(sender.cut().trace, number, time_ns);
  host::Progress progress{host::Terminal(STDERR_FILENO)};
  progress.begin_share("sending");
  size_t batches = 0;
  Batch batch = sender.batch(number, batches);
  size_t count = 0;
  const auto flush = [&] {
    batch.rows(TableId::kTraceEvents).set_size(count);
    sender.send(batch);
    batch = sender.batch(number, ++batches);
    count = 0;
    progress.reach(source->progress());
  };
  fleet::Rows* events = &batch.rows(TableId::kTraceEvents);
  while (const trace::Event* const event = source->next()) {
    rows.add(*event, *events);
    if (++count < sender.cut().events) continue;
    flush();
    events = &batch.rows(TableId::kTraceEvents);
  }
  if (count != 0) flush();
  Batch last = sender.batch(fmt::format("{}-end", number));
  rows.finish(*source, last);
  sender.send(last);
  return rows.events();
}

// Whole batches of events until `until_ns`; `sent` of them are known to be there.
void send_process_so_far(const TraceInput& input, size_t index, uint64_t until_ns, Sender& sender,
                         std::map<uint32_t, size_t>& sent, const std::function<bool()>& goes_on) {
  const std::unique_ptr<trace::EventSource> source = input.open(index);
  const trace::ProcessIdentity& process = source->process();
  if (process.start_ns == 0 || until_ns <= process.start_ns) return;
  const uint64_t end_ns = until_ns - process.start_ns;
  size_t& known = sent[process.number];
  TraceRows rows(sender.cut().trace, process.number, 0);
  size_t batches = 0;
  Batch batch = sender.batch(process.number, batches);
  for (size_t count = 0; const trace::Event* const event = source->next();) {
    if (event->time_ns > end_ns) return;
    rows.add(*event, batch.rows(TableId::kTraceEvents));
    if (++count < sender.cut().events) continue;
    batch.rows(TableId::kTraceEvents).set_size(count);
    count = 0;
    if (!goes_on()) return;
    if (batches++ >= known) {
      sender.send(batch);
      known = batches;
    }
    batch = sender.batch(process.number, batches);
  }
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

void send_so_far(fleet::Store& store, const std::string& path, const std::string& host,
                 uint64_t until_ns, std::map<uint32_t, size_t>& sent,
                 const std::function<bool()>& goes_on) {
  std::optional<Cut> cut = marked_cut(path);
  if (!cut) {
    cut = Cut{fleet::number_of(fleet::new_batch_id()), kEventsWhileRecording};
    host::OutputFile mark((std::filesystem::path(path) / kMark).string());
    mark.write(fmt::format("{} {}\n", cut->trace, cut->events));
    mark.close();
  }
  const TraceInput input(path, {});
  Sender sender(store, host, *cut);
  sender.is_patient = false;
  for (size_t i = 0; i < input.processes(); ++i) {
    send_process_so_far(input, i, until_ns, sender, sent, goes_on);
  }
}

SentTrace send_trace(fleet::Store& store, const std::string& path, const std::string& host,
                     bool salvages) {
  TraceInput::Options options;
  options.salvage = salvages;
  const TraceInput input(path, options);
  SentTrace sent;
  const std::optional<Cut> marked = marked_cut(path);
  Sender sender(store, host, marked ? *marked : Cut{fleet::number_of(text_of(input, path))});
  sent.trace = sender.cut().trace;
  Batch whole = sender.batch("whole");
  if (store.has(whole.id)) {
    sent.was_there = true;
    return sent;
  }
  const auto time_ns = static_cast<int64_t>(now_since_1970());
  uint64_t start_ns = 0;
  for (size_t i = 0; i < input.processes(); ++i) {
    if (i == 0) start_ns = input.open(i)->process().start_ns;
    sent.events += send_process(input, i, time_ns, sender);
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
