#include "report/replay_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/latency_plots.h"
#include "report/sweep_items.h"

namespace tide::report {
namespace {

Axis workload_axis() { return {"time in the workload", "ns"}; }

Json memory_plot(const std::string& id, const ReplayFile& file,
                 const std::vector<RunColors>& runs) {
  std::vector<Curve> rss;
  std::vector<Curve> vm;
  const ReplayRun* longest = nullptr;
  size_t points = 0;
  for (const RunColors& one : runs) {
    if (one.run->timeline(2).empty()) continue;
    rss.push_back({one.run->label, one.color, one.run->timeline(2)});
    vm.push_back({one.run->label, one.color, one.run->timeline(3)});
    if (rss.back().points.size() > points) longest = one.run;
    points = std::max(points, rss.back().points.size());
  }
  if (longest == nullptr) return nullptr;
  Curve ideal = {"live bytes (ideal)", "ideal", longest->timeline(1), "", false, true};
  Curve recorded = {"as recorded", "muted", {}, "dashed"};
  const auto workload = file.json.find("workload");
  if (workload != file.json.end() && workload->is_object()) {
    const auto samples = workload->find("rss");
    if (samples != workload->end() && samples->is_array()) {
      for (const Json& row : *samples) {
        if (row.is_array() && row.size() >= 2 && row[0].is_number() && row[1].is_number()) {
          recorded.points.emplace_back(row[0].get<double>(), row[1].get<double>());
        }
      }
    }
  }
  for (std::vector<Curve>* const curves : {&rss, &vm}) curves->push_back(ideal);
  if (!recorded.points.empty()) rss.push_back(recorded);
  const Caption caption = {
      id + "-memory", "Memory over time, all allocators",
      "The same calls at the same moments for everyone. The nearer a curve is to the grey area, "
      "the "
      "live bytes, the better; where that falls and a curve does not, memory is kept. Click a name "
      "to switch it, drag the strip below to zoom."};
  Json plot = lines(caption, workload_axis(), {"RSS", "bytes"}, rss, true);
  Json other = lines(caption, workload_axis(), {"VmSize", "bytes"}, vm, true);
  plot["views"] = {{{"name", "RSS"}},
                   {{"name", "VmSize"}, {"series", other["series"]}, {"y", other["y"]}}};
  return plot;
}

Json pareto_plot(const std::string& id, const ReplayFile& file,
                 const std::vector<RunColors>& runs) {
  std::vector<size_t> front = pareto_front(file.runs);
  Json plot = {
      {"type", "scatter"},
      {"id", id + "-pareto"},
      {"title", "Time against memory"},
      {"how",
       "Lower left is better. Filled points are the front: nothing else is better in both. "
       "Hollow ones are beaten by another in time and in memory."},
      {"x", {{"name", "wall time"}, {"unit", "ns"}}},
      {"y", {{"name", "max RSS"}, {"unit", "bytes"}}},
      {"points", Json::array()}};
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto time = runs[i].run->figure("wall_ns");
    const auto memory = runs[i].run->figure("rss_max_bytes");
    if (!runs[i].run->is_ok() || !time || !memory) continue;
    plot["points"].push_back({{"name", runs[i].run->label},
                              {"color", runs[i].color},
                              {"at", {rounded(time->median), rounded(memory->median)}},
                              {"front", std::find(front.begin(), front.end(), i) != front.end()}});
  }
  if (plot["points"].size() < 2) return nullptr;
  return plot;
}

Json figure_bars(const Caption& caption, const char* name, const char* unit,
                 const std::vector<RunColors>& runs) {
  std::vector<RunColors> order;
  for (const RunColors& one : runs) {
    if (one.run->is_ok() && one.run->figure(name)) order.push_back(one);
  }
  std::stable_sort(order.begin(), order.end(), [&](const RunColors& a, const RunColors& b) {
    return a.run->figure(name)->median < b.run->figure(name)->median;
  });
  if (order.empty()) return nullptr;
  std::vector<std::string> labels;
  Bars series = {caption.title, 0, {}};
  Json colors = Json::array();
  for (const RunColors& one : order) {
    labels.push_back(one.run->label);
    series.values.push_back(one.run->figure(name)->median);
    colors.push_back(one.color);
  }
  Json plot = bars(caption, {"", "text"}, {caption.title, unit}, labels, {series});
  plot["series"][0]["colors"] = std::move(colors);
  plot["sideways"] = true;
  plot["half"] = true;
  return plot;
}

Json with_spread(const ReplayRun& run, const char* name) {
  const auto figure = run.figure(name);
  if (!figure || figure->median == 0) return nullptr;
  return (figure->high - figure->low) / 2 / figure->median;
}

struct RunColumn {
  Column column;
  const char* key;
};

Json runs_table(const Caption& caption, const std::vector<RunColumn>& columns,
                const std::vector<RunColors>& runs) {
  const bool all_ok =
      std::all_of(runs.begin(), runs.end(), [](const RunColors& one) { return one.run->is_ok(); });
  std::vector<Column> heads = {{"allocator", "text"}};
  if (!all_ok) heads.push_back({"how it ended", "text", "", true});
  std::vector<const RunColumn*> shown;
  for (const RunColumn& column : columns) {
    const bool is_measured = std::any_of(runs.begin(), runs.end(), [&](const RunColors& one) {
      const auto figure = one.run->figure(column.key);
      return figure && figure->median != 0;
    });
    if (!is_measured) continue;
    heads.push_back(column.column);
    shown.push_back(&column);
  }
  heads.push_back({"time, ±", "percent"});
  Json rows = Json::array();
  for (const RunColors& one : runs) {
    Json row = {one.run->label};
    if (!all_ok) row.push_back(one.run->status);
    for (const RunColumn* const column : shown) {
      row.push_back(median_of(*one.run, column->key));
    }
    row.push_back(with_spread(*one.run, "wall_ns"));
    row.push_back(one.color);  // no column: the colour of the dot
    rows.push_back(std::move(row));
  }
  Json json = table(caption, heads, rows);
  json["columns"][0]["color"] = heads.size();
  if (!all_ok) json["columns"][1]["bad"] = true;
  return json;
}

Json system_calls_table(const std::string& id, const std::vector<RunColors>& runs) {
  std::map<std::string, double> totals;
  for (const RunColors& one : runs) {
    const auto calls = one.run->json.find("system_calls");
    if (calls == one.run->json.end() || !calls->is_object()) continue;
    for (const auto& [name, count] : calls->items()) {
      if (count.is_number()) totals[name] += count.get<double>();
    }
  }
  if (totals.empty()) return nullptr;
  std::vector<Column> columns = {{"allocator", "text"}};
  for (const auto& [name, total] : totals) columns.push_back({name, "count"});
  Json rows = Json::array();
  for (const RunColors& one : runs) {
    Json row = {one.run->label};
    const auto calls = one.run->json.find("system_calls");
    for (const auto& [name, total] : totals) {
      const bool has = calls != one.run->json.end() && calls->is_object();
      row.push_back(!has ? Json() : calls->contains(name) ? (*calls)[name] : Json(0));
    }
    row.push_back(one.color);
    rows.push_back(std::move(row));
  }
  Json json = table({id + "-system-calls", "System calls",
                     "What each allocator asked of the kernel. Many madvise or munmap calls give "
                     "memory back; each costs time."},
                    columns, rows);
  json["columns"][0]["color"] = columns.size();
  return json;
}

void add_facts(const ReplayFile& file, Section& section) {
  const auto workload = file.json.find("workload");
  if (workload == file.json.end() || !workload->is_object()) return;
  const auto fact = [&](const char* name, const char* key, const char* unit) {
    const auto value = workload->find(key);
    if (value != workload->end() && value->is_number()) section.fact(name, *value, unit);
  };
  section.fact("allocators", file.runs.size(), "count");
  fact("operations", "operations", "count");
  fact("threads", "threads", "count");
  fact("peak, live", "peak_bytes", "bytes");
  fact("peak, blocks", "peak_blocks", "count");
  fact("max RSS as recorded", "rss_max_bytes", "bytes");
  fact("threads at once, recorded", "parallelism", "number");
  fact("duration as recorded", "duration_ns", "ns");
  const auto fidelity = file.json.find("fidelity");
  if (fidelity != file.json.end() && fidelity->is_object()) {
    const auto error = fidelity->find("rss_max_error");
    if (error != fidelity->end() && error->is_number()) {
      section.fact("max RSS, replay against recording", *error, "percent");
    }
    const auto curve = fidelity->find("rss_curve_error");
    if (curve != fidelity->end() && curve->is_number()) {
      section.fact("RSS curve, mean error", *curve, "percent");
    }
  }
}

std::vector<RunColumn> figures() {
  return {{{"wall time", "ns", "low"}, "wall_ns"},
          {{"CPU time", "ns", "low"}, "cpu_ns"},
          {{"in the allocator", "ns", "low"}, "allocator_ns"},
          {{"calls/s", "rate", "high"}, "calls_per_second"},
          {{"max RSS", "bytes", "low"}, "rss_max_bytes"},
          {{"max VmSize", "bytes", "low"}, "vm_max_bytes"},
          {{"RSS over live", "ratio", "low"}, "rss_over_live"},
          {{"page floor over live", "ratio", "low"}, "page_floor_over_live"},
          {{"minor faults", "count", "low"}, "minor_faults"},
          {{"major faults", "count", "low"}, "major_faults"},
          {{"threads at once", "number", "high"}, "parallelism"},
          {{"replayer's own", "bytes"}, "harness_bytes"}};
}

}  // namespace

std::vector<size_t> pareto_front(const std::vector<ReplayRun>& runs) {
  std::vector<std::tuple<double, double, size_t>> points;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto time = runs[i].figure("wall_ns");
    const auto memory = runs[i].figure("rss_max_bytes");
    if (runs[i].is_ok() && time && memory) points.emplace_back(time->median, memory->median, i);
  }
  std::sort(points.begin(), points.end());
  std::vector<size_t> front;
  double least = 0;
  for (const auto& [time, memory, index] : points) {
    if (!front.empty() && memory >= least) continue;
    least = memory;
    front.push_back(index);
  }
  std::sort(front.begin(), front.end());
  return front;
}

Section replay_section(const std::string& id, const std::string& name, const ReplayFile& file,
                       AllocatorColors& colors) {
  Section section;
  section.id = id;
  section.kind = "Replay";
  section.title = name;
  std::vector<RunColors> runs;
  for (const ReplayRun& run : file.runs)
    runs.push_back({&run, colors.of(run.label, run.allocator)});
  section.lead =
      "The same calls on each allocator, each in fresh processes; figures are medians of "
      "the repetitions.";
  add_facts(file, section);
  section.answer = replay_answer(file);
  const auto add = [&](Json item) {
    if (!item.is_null()) section.items.push_back(std::move(item));
  };
  add(runs_table({id + "-figures", "Allocators side by side",
                  "A star marks the best of a column. Click a head to sort."},
                 figures(), runs));
  add(memory_plot(id, file, runs));
  std::vector<Json> sweep = sweep_items(id, file);
  for (Json& item : sweep) add(std::move(item));
  if (sweep.empty()) {
    add(figure_bars({id + "-wall", "Wall time", "Less is better."}, "wall_ns", "ns", runs));
    add(figure_bars({id + "-rss", "Max RSS", "Less is better."}, "rss_max_bytes", "bytes", runs));
  }
  add(pareto_plot(id, file, runs));
  for (Json& item : latency_items(id, runs)) add(std::move(item));
  add(system_calls_table(id, runs));
  return section;
}

}  // namespace tide::report
