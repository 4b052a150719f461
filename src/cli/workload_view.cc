#include "cli/workload_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/heap_json.h"
#include "cli/text_charts.h"
#include "host/byte_text.h"
#include "host/terminal.h"
#include "replay/workload_reader.h"
#include "trace/call_counts.h"
#include "trace/memory_samples.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using trace::Call;

constexpr size_t kMostSamples = 2000;

// All operations are read: what is said of them is so.
trace::CallCounts count(const replay::WorkloadReader& workload) {
  trace::CallCounts calls;
  format::WorkloadOperation operation;
  for (size_t thread = 0; thread < workload.threads().size(); ++thread) {
    auto operations = workload.operations(thread);
    while (operations.next(operation)) {
      const bool is_array = (operation.form & format::kFormArray) != 0;
      Call call = operation.call;
      if (call == Call::kNewForm) call = is_array ? Call::kNewArray : Call::kNew;
      if (call == Call::kDeleteForm) call = is_array ? Call::kDeleteArray : Call::kDelete;
      calls.add(call);
    }
  }
  return calls;
}

}  // namespace

std::string workload_text(const std::string& path) {
  const replay::WorkloadReader workload(path);
  const format::WorkloadHead& head = workload.head();
  const trace::CallCounts calls = count(workload);
  std::string text =
      fmt::format("Workload: {} operations of {} threads in {}\n", grouped(head.operations),
                  head.threads, duration_text(head.duration_ns));
  const auto line = [&](std::string_view name, const std::string& what) {
    text += fmt::format("  {:<18} {}\n", name, what);
  };
  line("peak",
       fmt::format("{} in {} blocks", host::byte_text(head.peak_bytes), grouped(head.peak_blocks)));
  line("live at the end",
       fmt::format("{} in {} blocks", host::byte_text(head.live_bytes), grouped(head.live_blocks)));
  if (!workload.samples().empty()) {
    line("max RSS", host::byte_text(head.rss_max_bytes) + " when it was recorded");
  }
  if (const double parallelism = format::recorded_parallelism(head); parallelism > 0) {
    line("parallelism", fmt::format("{:.2f} threads ran at once, on average", parallelism));
  }
  if (!workload.allocator().empty()) line("allocator", host::printable(workload.allocator()));
  if (!workload.program().empty()) line("program", host::printable(workload.program()));
  line("slots", grouped(head.slots));
  line("handed over",
       fmt::format("{} operations wait for another thread's block", grouped(head.handed_over)));
  line("slots taken over",
       fmt::format("{} operations wait for an empty slot", grouped(head.slots_taken)));
  if (head.left_out != 0) {
    line("left out", grouped(head.left_out) + " calls that failed or released unknown blocks");
  }
  if (head.lost_events != 0)
    line("LOST", grouped(head.lost_events) + " events when it was recorded");
  std::vector<Bar> bars;
  for (size_t i = 1; i < format::kCallCount; ++i) {
    const auto call = static_cast<Call>(i);
    if (calls[call] == 0) continue;
    bars.push_back({std::string(format::call_name(call)), grouped(calls[call]), calls[call]});
  }
  return text + "\nCalls\n" + bar_chart(bars);
}

std::string workload_json(const std::string& path) {
  const replay::WorkloadReader workload(path);
  const format::WorkloadHead& head = workload.head();
  const trace::CallCounts calls = count(workload);
  Json json = {{"kind", "workload"},
               {"version", head.version},
               {"operations", head.operations},
               {"duration_ns", head.duration_ns},
               {"slots", head.slots},
               {"allocations", head.allocations},
               {"releases", head.releases},
               {"peak_blocks", head.peak_blocks},
               {"peak_bytes", head.peak_bytes},
               {"live_blocks", head.live_blocks},
               {"live_bytes", head.live_bytes},
               {"handed_over", head.handed_over},
               {"slots_taken", head.slots_taken},
               {"left_out", head.left_out},
               {"lost_events", head.lost_events}};
  const bool has_samples = !workload.samples().empty();
  const double parallelism = format::recorded_parallelism(head);
  json["program"] = workload.program();
  json["allocator"] = workload.allocator();
  json["parallelism"] = parallelism > 0 ? Json(parallelism) : Json();
  json["rss_max_bytes"] = has_samples ? Json(head.rss_max_bytes) : Json();
  json["rss"] = Json::array();
  std::vector<format::WorkloadSample> samples = workload.samples();
  trace::thin(samples, kMostSamples, [](const auto& sample) { return sample.rss_bytes; });
  for (const format::WorkloadSample& sample : samples) {
    json["rss"].push_back({sample.time_ns, sample.rss_bytes});
  }
  json["touches_recorded"] = (head.flags & format::kTouchesRecorded) != 0;
  json["calls"] = Json::object();
  for (size_t i = 1; i < format::kCallCount; ++i) {
    const auto call = static_cast<Call>(i);
    if (calls[call] != 0) json["calls"][std::string(format::call_name(call))] = calls[call];
  }
  json["threads"] = Json::array();
  for (const format::WorkloadThread& thread : workload.threads()) {
    json["threads"].push_back({{"number", thread.number},
                               {"thread_id", thread.tid},
                               {"operations", thread.operations},
                               {"begin_ns", thread.begin_ns},
                               {"end_ns", thread.end_ns}});
  }
  return json_line(json);
}

}  // namespace tide::cli
