#include "report/sweep_items.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace tide::report {
namespace {

// The runs of one allocator, by value.
struct Swept {
  std::string allocator;  // with the options that are the same in all
  std::map<std::string, const ReplayRun*> runs;
};

std::string without_option(const ReplayRun& run, const std::string& option,
                           const std::string& value) {
  const std::string tail = " " + option + "=" + value;
  return run.label.ends_with(tail) ? run.label.substr(0, run.label.size() - tail.size())
                                   : run.allocator;
}

std::vector<Swept> by_allocator(const ReplayFile& file, const std::string& option) {
  std::vector<Swept> all;
  for (const ReplayRun& run : file.runs) {
    const auto options = run.json.find("options");
    if (options == run.json.end() || !options->is_object()) continue;
    const auto value = options->find(option);
    if (value == options->end() || !value->is_string()) continue;
    const std::string name = without_option(run, option, value->get<std::string>());
    auto found = std::find_if(all.begin(), all.end(),
                              [&](const Swept& one) { return one.allocator == name; });
    if (found == all.end()) found = all.insert(all.end(), {name, {}});
    found->runs[value->get<std::string>()] = &run;
  }
  return all;
}

double median(const Swept& swept, const std::string& value, const char* figure) {
  const auto run = swept.runs.find(value);
  if (run == swept.runs.end() || !run->second->is_ok()) return std::nan("");
  const auto found = run->second->figure(figure);
  return found ? found->median : std::nan("");
}

Json figure_plot(const Caption& caption, const char* figure, const char* unit,
                 const std::string& option, const std::vector<std::string>& values,
                 const std::vector<Swept>& all) {
  std::vector<Bars> series;
  for (const Swept& swept : all) {
    Bars one = {swept.allocator, static_cast<int>(series.size()), {}};
    for (const std::string& value : values) one.values.push_back(median(swept, value, figure));
    series.push_back(std::move(one));
  }
  Json plot = bars(caption, {option, "text"}, {caption.title, unit}, values, series);
  plot["half"] = true;
  return plot;
}

Json change(double from, double to) {
  return std::isnan(from) || std::isnan(to) || from == 0 ? Json() : Json((to - from) / from);
}

Json optional(double value) { return std::isnan(value) ? Json() : Json(value); }

Json values_table(const std::string& id, const std::string& option,
                  const std::vector<std::string>& values, const std::vector<Swept>& all) {
  Json rows = Json::array();
  for (const Swept& swept : all) {
    for (const std::string& value : values) {
      Json row = {swept.allocator, value};
      for (const char* const figure : {"wall_ns", "rss_max_bytes", "p99_ns"}) {
        const double own = median(swept, value, figure);
        row.push_back(optional(own));
        row.push_back(change(median(swept, values.front(), figure), own));
      }
      rows.push_back(std::move(row));
    }
  }
  return table({id + "-sweep", "The sweep, value by value",
                "Medians, and how they differ from those of the first value."},
               {{"allocator", "text"},
                {option, "text"},
                {"wall time", "ns", "low"},
                {"change", "percent"},
                {"max RSS", "bytes", "low"},
                {"change", "percent"},
                {"p99 of a call", "ns", "low"},
                {"change", "percent"}},
               rows);
}

}  // namespace

std::vector<Json> sweep_items(const std::string& id, const ReplayFile& file) {
  const auto experiment = file.json.find("experiment");
  if (experiment == file.json.end() || !experiment->is_object()) return {};
  const auto option = experiment->find("option");
  const auto listed = experiment->find("values");
  if (option == experiment->end() || !option->is_string() || listed == experiment->end() ||
      !listed->is_array()) {
    return {};
  }
  std::vector<std::string> values;
  for (const Json& value : *listed) {
    if (value.is_string()) values.push_back(value.get<std::string>());
  }
  const auto name = option->get<std::string>();
  const std::vector<Swept> all = by_allocator(file, name);
  if (values.empty() || all.empty()) return {};
  return {figure_plot({id + "-sweep-wall", "Wall time by " + name, "Less is better."}, "wall_ns",
                      "ns", name, values, all),
          figure_plot({id + "-sweep-rss", "Max RSS by " + name, "Less is better."}, "rss_max_bytes",
                      "bytes", name, values, all),
          values_table(id, name, values, all)};
}

}  // namespace tide::report
