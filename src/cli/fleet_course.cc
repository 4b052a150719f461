// `tide fleet rss` and `tide fleet leaks`: memory over time, and call stacks that grow.

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/terminal.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using host::Align;
using host::short_byte_text;
using Json = nlohmann::ordered_json;

constexpr uint64_t kDay = 86'400'000'000'000;
constexpr size_t kShownFrames = 6;

constexpr HelpText kRssHelp = {
    "  tide fleet rss --from 7d --step 6h --service shop\n", "tide fleet rss [OPTIONS]",
    "Memory over time, summed up over processes: resident, live, cached by threads, free and\n"
    "perhaps resident, given back; and how much is resident for each live byte.\n",
    "Of each process what was seen last in a step. Without --step: 30 steps.\n"};

constexpr HelpText kLeaksHelp = {
    "  tide fleet leaks --from 24h --hosts 3\n", "tide fleet leaks [OPTIONS]",
    "Call stacks whose live bytes grow: in at least --steps steps of time, and upwards in four of\n"
    "five of them. Those come first that grow on most hosts.\n",
    "Needs processes that are sampled: tide profile PID, or TIDE_PROFILE=on.\n"};

int run_rss(const Arguments& arguments) {
  VerbParser parser(kFleetRssCommand, kRssHelp);
  FleetOptions database;
  SelectionOptions options(kDay);
  std::string step_text;
  bool as_json = false;
  parser.add_option("--step", step_text, "Length of a step of time")->type_name("TIME");
  options.add_to(parser);
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  const auto store = open_fleet(database);
  const fleet::Selection selection = options.selection(*store, fleet::TableId::kStatistics);
  constexpr int64_t kSteps = 30;
  const int64_t step = step_text.empty()
                           ? std::max<int64_t>((selection.to_ns - selection.from_ns) / kSteps, 1)
                           : static_cast<int64_t>(parse_duration("--step", step_text));
  const auto rows = fleet::time_rows(*store, selection, step);
  if (as_json) {
    Json json = fleet_json("rss", &selection);
    json["step_ns"] = step;
    json["rows"] = Json::array();
    for (const fleet::TimeRow& row : rows) {
      json["rows"].push_back(
          {{"time_ns", row.time_ns},
           {"processes", row.processes},
           {"rss_bytes", row.rss_bytes},
           {"live_bytes", row.live_bytes},
           {"cached_bytes", row.cached_bytes},
           {"free_dirty_bytes", row.free_dirty_bytes},
           {"returned_bytes", row.returned_bytes},
           {"metadata_bytes", row.metadata_bytes},
           {"rss_over_live", row.live_bytes == 0 ? Json()
                                                 : Json(static_cast<double>(row.rss_bytes) /
                                                        static_cast<double>(row.live_bytes))}});
    }
    print(json_line(json));
    return host::kExitOk;
  }
  host::TextTable table({{"TIME (UTC)"},
                         {"PROCESSES", Align::kRight},
                         {"RSS", Align::kRight},
                         {"LIVE", Align::kRight},
                         {"RSS/LIVE", Align::kRight},
                         {"CACHED", Align::kRight},
                         {"DIRTY", Align::kRight},
                         {"RETURNED", Align::kRight},
                         {"META", Align::kRight}});
  const auto bytes = [](int64_t value) { return short_byte_text(static_cast<uint64_t>(value)); };
  for (const fleet::TimeRow& row : rows) {
    table.add_row(
        {{moment_text(row.time_ns)},
         {fmt::format("{}", row.processes)},
         {bytes(row.rss_bytes)},
         {bytes(row.live_bytes)},
         {row.live_bytes == 0 ? "-"
                              : fmt::format("{:.2f}", static_cast<double>(row.rss_bytes) /
                                                          static_cast<double>(row.live_bytes))},
         {bytes(row.cached_bytes)},
         {bytes(row.free_dirty_bytes)},
         {bytes(row.returned_bytes)},
         {bytes(row.metadata_bytes)}});
  }
  print(rows.empty() ? "nothing is known for that time\n"
                     : table.render(host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

int run_leaks(const Arguments& arguments) {
  VerbParser parser(kFleetLeaksCommand, kLeaksHelp);
  FleetOptions database;
  SelectionOptions options(kDay);
  fleet::LeakSearch search;
  std::string step_text = "1h";
  std::string least = "1M";
  size_t most = 20;
  bool as_json = false;
  parser.add_option("--step", step_text, "Length of a step of time, 1h by default")
      ->type_name("TIME");
  parser.add_option("--steps", search.steps, "Steps that it takes, 3 by default")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  parser.add_option("--least", least, "Growth that matters, over all processes; 1M by default")
      ->type_name("SIZE");
  parser.add_option("--hosts", search.least_hosts, "Hosts that it takes, 1 by default")
      ->type_name("N");
  add_top_option(parser, most, "Rows to show, 20 by default");
  options.add_to(parser);
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  search.step_ns = static_cast<int64_t>(parse_duration("--step", step_text));
  search.least_bytes = static_cast<int64_t>(parse_size("--least", least));
  const auto store = open_fleet(database);
  const fleet::Selection selection = options.selection(*store, fleet::TableId::kProfiles);
  const auto rows = fleet::leak_rows(*store, selection, search, most);
  const auto functions = fleet::stack_functions_of(*store, rows);
  if (as_json) {
    Json json = fleet_json("leaks", &selection);
    json["step_ns"] = search.step_ns;
    json["rows"] = Json::array();
    for (size_t i = 0; i < rows.size(); ++i) {
      json["rows"].push_back({{"hosts", rows[i].hosts},
                              {"processes", rows[i].processes},
                              {"live_bytes", rows[i].live_bytes},
                              {"grown_bytes", rows[i].grown_bytes},
                              {"bytes_per_step", rows[i].bytes_per_step},
                              {"stack", rows[i].stack},
                              {"functions", functions[i]}});
    }
    print(json_line(json));
    return host::kExitOk;
  }
  host::TextTable table({{"HOSTS", Align::kRight},
                         {"PROCESSES", Align::kRight},
                         {"GROWN", Align::kRight},
                         {"IN " + step_text, Align::kRight},
                         {"LIVE", Align::kRight},
                         {"ALLOCATED BY"}});
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto bytes = [](double value) {
      return short_byte_text(static_cast<uint64_t>(std::llround(std::max(0.0, value))));
    };
    table.add_row({{fmt::format("{}", rows[i].hosts)},
                   {fmt::format("{}", rows[i].processes)},
                   {bytes(static_cast<double>(rows[i].grown_bytes))},
                   {bytes(rows[i].bytes_per_step)},
                   {bytes(static_cast<double>(rows[i].live_bytes))},
                   {functions_text(functions[i], kShownFrames)}});
  }
  print(rows.empty()
            ? fmt::format("no call stack grows in {} steps of {} or more (--steps, --step) "
                          "by {} (--least)\n",
                          search.steps, step_text, least)
            : table.render(host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const Command kFleetRssCommand = {"fleet rss", "Memory over time", run_rss};
const Command kFleetLeaksCommand = {"fleet leaks", "Call stacks that grow", run_leaks};

}  // namespace tide::cli
