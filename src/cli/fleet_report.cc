// `tide fleet report`: a page about the fleet.

#include <fmt/format.h>

#include <algorithm>

#include "cli/fleet_report_stacks.h"
#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/output_file.h"
#include "report/page.h"
#include "report/parts.h"

namespace tide::cli {
namespace {

using fleet::By;
using host::byte_text;
using Json = nlohmann::ordered_json;
using report::Section;

constexpr uint64_t kDay = 86'400'000'000'000;
constexpr size_t kMostRows = 50;
constexpr size_t kShownFrames = 8;

constexpr HelpText kFleetReportHelp = {"  tide fleet report --from 7d -o fleet.html\n",
                                       "tide fleet report [OPTIONS] -o FILE",
                                       "One page of HTML about the fleet, readable offline: memory "
                                       "over time, who has it, call stacks\n"
                                       "as a flame graph and over time, those that pin pages, and "
                                       "those that grow.\n",
                                       ""};

Section course_section(fleet::Store& store, const fleet::Selection& selection) {
  constexpr int64_t kSteps = 200;
  const int64_t step = std::max<int64_t>((selection.to_ns - selection.from_ns) / kSteps, 1);
  const auto rows = fleet::time_rows(store, selection, step);
  struct Figure {
    const char* name;
    int64_t fleet::TimeRow::*member;
  };
  constexpr Figure kFigures[] = {{"RSS", &fleet::TimeRow::rss_bytes},
                                 {"live", &fleet::TimeRow::live_bytes},
                                 {"cached", &fleet::TimeRow::cached_bytes},
                                 {"free, may be resident", &fleet::TimeRow::free_dirty_bytes},
                                 {"given back", &fleet::TimeRow::returned_bytes}};
  std::vector<report::Curve> curves;
  for (size_t i = 0; i < std::size(kFigures); ++i) {
    report::Curve curve;
    curve.name = kFigures[i].name;
    curve.color = i;
    for (const fleet::TimeRow& row : rows) {
      curve.points.emplace_back(static_cast<double>(row.time_ns - selection.from_ns),
                                static_cast<double>(row.*kFigures[i].member));
    }
    curves.push_back(std::move(curve));
  }
  Section section;
  section.id = "memory";
  section.kind = "fleet";
  section.title = "Memory over time";
  section.lead = "Sums over all processes; of each what was seen of it last in a step of time.";
  if (!rows.empty()) {
    const fleet::TimeRow& last = rows.back();
    section.fact("processes", last.processes, "count");
    section.fact("RSS", last.rss_bytes, "bytes");
    section.fact("live", last.live_bytes, "bytes");
    section.answer.push_back(fmt::format("{} processes hold {}, of which {} are live.",
                                         last.processes,
                                         byte_text(static_cast<uint64_t>(last.rss_bytes)),
                                         byte_text(static_cast<uint64_t>(last.live_bytes))));
  }
  section.items.push_back(report::lines({"memory-time", "Memory over time", ""},
                                        {"time since the beginning", "ns"}, {"memory", "bytes"},
                                        curves, true));
  return section;
}

Section holders_section(fleet::Store& store, const fleet::Selection& selection) {
  Section section;
  section.id = "holders";
  section.kind = "fleet";
  section.title = "Who has it";
  section.lead = "Of each process what was seen of it last.";
  constexpr std::pair<By, const char*> kWays[] = {
      {By::kService, "service"}, {By::kHost, "host"}, {By::kClass, "size class"}};
  for (const auto& [by, name] : kWays) {
    Json rows = Json::array();
    for (const fleet::TopRow& row : fleet::top_rows(store, by, selection, kMostRows)) {
      // RSS is of processes.
      const bool is_class = by == By::kClass;
      rows.push_back({is_class ? row.name + " B" : row.name, row.processes,
                      is_class ? Json() : Json(row.rss_bytes), row.live_bytes, row.cached_bytes});
    }
    section.items.push_back(
        report::table({report::id_of(fmt::format("by {}", name)), fmt::format("By {}", name), ""},
                      {{name, "text"},
                       {"processes", "count"},
                       {"RSS", "bytes"},
                       {"live", "bytes"},
                       {"cached", "bytes"}},
                      rows));
  }
  return section;
}

Section leaks_section(fleet::Store& store, const fleet::Selection& selection) {
  Section section;
  section.id = "leaks";
  section.kind = "fleet";
  section.title = "What grows";
  section.lead = "Call stacks whose live bytes grew in at least three steps, most hosts first.";
  constexpr int64_t kSteps = 24;
  fleet::LeakSearch search;
  search.step_ns = std::max<int64_t>((selection.to_ns - selection.from_ns) / kSteps, 1);
  const auto rows = fleet::leak_rows(store, selection, search, kMostRows);
  const auto functions = fleet::stack_functions_of(store, rows);
  Json cells = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    cells.push_back({rows[i].hosts, rows[i].processes, rows[i].grown_bytes, rows[i].live_bytes,
                     functions_text(functions[i], kShownFrames)});
  }
  section.items.push_back(report::table({"growing", "Call stacks that grow", ""},
                                        {{"hosts", "count"},
                                         {"processes", "count"},
                                         {"grown", "bytes"},
                                         {"live", "bytes"},
                                         {"allocated by", "text", {}, true}},
                                        cells));
  if (!rows.empty()) {
    section.answer.push_back(fmt::format(
        "{} grows on {} {}, by {} in all.", functions[0].empty() ? "(unknown)" : functions[0][0],
        rows[0].hosts, rows[0].hosts == 1 ? "host" : "hosts",
        byte_text(static_cast<uint64_t>(std::max<int64_t>(rows[0].grown_bytes, 0)))));
  }
  return section;
}

int run_fleet_report(const Arguments& arguments) {
  VerbParser parser(kFleetReportCommand, kFleetReportHelp);
  FleetOptions database;
  SelectionOptions options(kDay);
  std::string out;
  std::string title = "Memory of the fleet";
  bool as_json = false;
  parser.add_option("-o,--output", out, "The page to write")->type_name("FILE");
  parser.add_option("--title", title, "What stands at the top of the page")->type_name("TEXT");
  options.add_to(parser);
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print what the page shows as JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (out.empty() && !as_json) {
    throw host::Error("-o FILE is needed; see: tide fleet report --help", host::kExitUsage);
  }
  if (!out.empty()) host::require_writable(out);
  const auto store = open_fleet(database);
  const fleet::Selection selection = options.selection(*store, fleet::TableId::kStatistics);
  fleet::Selection at_end = selection;
  at_end.from_ns = std::max(selection.from_ns, selection.to_ns - 600'000'000'000);
  std::vector<Section> sections = {
      course_section(*store, selection), holders_section(*store, at_end),
      fleet_stacks_section(*store, selection), fleet_pins_section(*store, selection),
      leaks_section(*store, selection)};
  const report::Head head = {title,
                             fmt::format("{} to {} (UTC), from {}", moment_text(selection.from_ns),
                                         moment_text(selection.to_ns), database.address().text()),
                             "Made by tide fleet report " TIDE_VERSION
                             ". This page loads nothing from elsewhere."};
  const std::string data = report::page_data(head, sections);
  if (!out.empty()) {
    const std::string html = report::page_html(head, data);
    host::OutputFile file(out);
    file.write(html);
    file.close();
  }
  if (as_json) print(data + "\n");
  return host::kExitOk;
}

}  // namespace

const Command kFleetReportCommand = {"fleet report", "A page about the fleet", run_fleet_report};

}  // namespace tide::cli
