#include <filesystem>

#include "cli/replay_report.h"

namespace tide::cli {

using Json = nlohmann::ordered_json;
using format::Call;
using replay::AllocatorResult;
using replay::FigureId;

namespace {

Json calls_json(const std::array<uint64_t, format::kCallCount>& calls) {
  Json json = Json::object();
  for (size_t i = 1; i < format::kCallCount; ++i) {
    if (calls[i] != 0) json[std::string(format::call_name(static_cast<Call>(i)))] = calls[i];
  }
  return json;
}

Json optional_number(uint64_t number) { return number == 0 ? Json(nullptr) : Json(number); }

Json machine_json() {
  const Machine machine = this_machine();
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"page_bytes", machine.page_bytes}};
}

Json workload_json(const ReplayReport& report) {
  const format::WorkloadHead& head = report.workload.head();
  const std::filesystem::path path = report.workload.path();
  Json rss = Json::array();
  for (const format::WorkloadSample& sample : report.workload.samples()) {
    rss.push_back({sample.time_ns, sample.rss_bytes});
  }
  return {{"path", path.string()},
          {"name", path.stem().string()},
          {"threads", head.threads},
          {"operations", head.operations},
          {"allocations", head.allocations},
          {"peak_blocks", head.peak_blocks},
          {"peak_bytes", head.peak_bytes},
          {"live_bytes", head.live_bytes},
          {"duration_ns", head.duration_ns},
          {"parallelism", head.sampled_ns == 0 ? Json(nullptr) : Json(recorded_parallelism(head))},
          {"rss_max_bytes", optional_number(head.rss_max_bytes)},
          {"rss", std::move(rss)},
          {"program", report.workload.program()},
          {"recorded_allocator", report.workload.allocator()},
          {"calls", calls_json(report.survey.calls)}};
}

std::string_view touch_name(format::ReplayTouch touch) {
  switch (touch) {
    case format::ReplayTouch::kPage:
      return "page";
    case format::ReplayTouch::kAll:
      return "all";
    default:
      return "recorded";
  }
}

Json limit_json(const ReplayReport& report) {
  if (report.plan.settings.limit_bytes == 0) return nullptr;
  return report.result.limit_by == replay::LimitBy::kGroup ? "group" : "rlimit";
}

Json options_json(const ReplayReport& report) {
  const replay::Plan& plan = report.plan;
  const replay::Settings& settings = plan.settings;
  return {{"speed", settings.at_recorded_speed ? "recorded" : "max"},
          {"touch", touch_name(settings.touch)},
          {"reps", plan.repetitions},
          {"scale", settings.copies},
          {"limit_bytes", optional_number(settings.limit_bytes)},
          {"limit_by", limit_json(report)},
          {"threads_per_core", optional_number(settings.threads_per_core)},
          {"trim_every_ns", optional_number(settings.trim_every_ns)},
          {"timeout_ns", optional_number(settings.timeout_ns)}};
}

Json figure_json(const replay::Figure& figure) {
  if (figure.is_empty()) return nullptr;
  return {{"median", figure.median()},
          {"low", figure.low()},
          {"high", figure.high()},
          {"samples", figure.samples()}};
}

Json latency_json(const std::vector<replay::LatencyRow>& rows) {
  Json json = Json::array();
  for (const replay::LatencyRow& row : rows) {
    json.push_back({{"call", format::kLatencyKindNames[static_cast<size_t>(row.kind)]},
                    {"low", row.low},
                    {"high", row.high},
                    {"count", row.count},
                    {"p50_ns", row.p50_ns},
                    {"p99_ns", row.p99_ns},
                    {"p999_ns", row.p999_ns},
                    {"max_ns", row.longest_ns},
                    {"histogram", row.histogram}});
  }
  return json;
}

Json run_json(const AllocatorResult& run) {
  Json options = Json::object();
  for (const auto& [name, value] : run.allocator.options) options[name] = value;
  Json json = {{"allocator", run.allocator.name},
               {"library", run.allocator.library},
               {"label", run.allocator.label},
               {"options", options},
               {"status", run.status},
               {"said", run.said.empty() ? Json() : Json(run.said)}};
  for (size_t i = 0; i < replay::kFigureCount; ++i) {
    json[std::string(replay::kFigureNames[i].key)] = figure_json(run.figures[i]);
  }
  json["calls"] = calls_json(run.calls);
  json["live_blocks"] = run.live_blocks_at_end;
  json["live_bytes"] = run.live_bytes_at_end;
  json["latency"] = latency_json(run.latencies);
  json["system_calls"] = run.system_calls ? Json(*run.system_calls) : Json(nullptr);
  Json timeline = Json::array();
  for (const replay::TimelinePoint& point : run.timeline) {
    timeline.push_back({point.time_ns, point.live_bytes, point.rss_bytes, point.vm_bytes});
  }
  json["timeline"] = std::move(timeline);
  return json;
}

Json experiment_json(const ReplayReport& report) {
  if (!report.experiment) return nullptr;
  return {{"option", report.experiment->option},
          {"values", report.experiment->values},
          {"pareto", pareto_front(report.result)}};
}

template <class T>
Json optional_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json fidelity_json(const std::optional<replay::Fidelity>& fidelity) {
  if (!fidelity) return nullptr;
  return {
      {"allocator", fidelity->allocator},
      {"rss_max_error", optional_json(fidelity->rss_max_error)},
      {"rss_curve_error", optional_json(fidelity->rss_curve_error)},
      {"rss_max_recorded", optional_number(fidelity->rss_max_recorded)},
      {"rss_max_replayed", optional_number(fidelity->rss_max_replayed)},
      {"counts_equal", fidelity->counts_equal},
      {"live_curve_equal", fidelity->live_equal},
      {"live_curve_points", fidelity->curve_points},
      {"parallelism_recorded",
       fidelity->parallelism_recorded == 0 ? Json(nullptr) : Json(fidelity->parallelism_recorded)},
      {"parallelism_replayed", fidelity->parallelism_replayed}};
}

}  // namespace

Json replay_json(const ReplayReport& report) {
  Json json = {{"tide_replay", 1},
               {"command", report.command},
               {"date", report.date},
               {"version", TIDE_VERSION},
               {"machine", machine_json()},
               {"workload", workload_json(report)},
               {"options", options_json(report)},
               {"harness",
                {{"cpu_ns", figure_json(report.result.harness.cpu_ns)},
                 {"wall_ns", figure_json(report.result.harness.wall_ns)},
                 {"decode_ns", figure_json(report.result.harness.decode_ns)},
                 {"program_rss_bytes", report.result.harness.rss_bytes}}},
               {"experiment", experiment_json(report)}};
  Json runs = Json::array();
  for (const AllocatorResult& run : report.result.runs) runs.push_back(run_json(run));
  json["runs"] = std::move(runs);
  json["fidelity"] = fidelity_json(report.fidelity);
  json["sentence"] = replay_sentence(report);
  return json;
}

}  // namespace tide::cli
