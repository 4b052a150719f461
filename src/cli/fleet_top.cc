// `tide fleet top` and `tide fleet diff`: who has the memory, and what has changed.

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "cli/fleet_row_names.h"
#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "host/error.h"
#include "host/number_text.h"
#include "host/terminal.h"
#include "host/text_table.h"
#include "profile/costs.h"

namespace tide::cli {
namespace {

using fleet::By;
using host::Align;
using Json = nlohmann::ordered_json;

constexpr uint64_t kTenMinutes = 600'000'000'000;

constexpr HelpText kTopHelp = {
    "  tide fleet top --by service\n"
    "  tide fleet top --kind fragmentation --service shop\n"
    "  tide fleet top --by stack --service shop --db clickhouse://tide@127.0.0.1:8123/heaps\n",
    "tide fleet top [OPTIONS]",
    "Who has the memory: of each process what was seen of it last, at most ten minutes before the\n"
    "newest, summed up by host, service, version, command, container, process, size class or\n"
    "call stack.\n",
    "Call stacks are those of processes that are sampled; their figures are estimates.\n"
    "--kind asks their profiles, by call stack unless --by says otherwise: what is in use, was\n"
    "allocated, lived at the peak, was freed (lifetime), has grown since --from (1d), what live\n"
    "blocks keep from going back (fragmentation), and which part of them is resident.\n"};

constexpr HelpText kDiffHelp = {
    "  tide fleet diff --versions 1.4 1.5 --service shop --by stack\n"
    "  tide fleet diff --before 14d..7d --after 7d..0 --by service\n",
    "tide fleet diff [OPTIONS] --versions A B | --before WHEN..WHEN --after WHEN..WHEN",
    "What has changed: live bytes of a process, on average over all looks at it, in two versions\n"
    "or in two spans of time.\n",
    "WHEN is a time such as 2026-11-22T10:30 (UTC), or 7d: so long before the newest; 0 is the\n"
    "newest. Call stacks are those of processes that are sampled.\n"};

std::string top_text(By by, const std::vector<fleet::TopRow>& rows,
                     const RowNames<fleet::TopRow>& names, const std::string& by_name) {
  const bool has_all = by != By::kStack && by != By::kClass;
  std::vector<host::TextTable::Column> columns = {{"PROCESSES", Align::kRight},
                                                  {"LIVE", Align::kRight}};
  if (by == By::kStack) columns.push_back({"+-", Align::kRight});
  if (!has_all) columns.push_back({"BLOCKS", Align::kRight});
  if (by == By::kClass) columns.push_back({"CACHED", Align::kRight});
  if (has_all) {
    for (const char* const name : {"RSS", "CACHED", "DIRTY", "RETURNED", "META"}) {
      columns.push_back({name, Align::kRight});
    }
  }
  columns.push_back({names.title(by_name)});
  host::TextTable table(columns);
  for (size_t i = 0; i < rows.size(); ++i) {
    const fleet::TopRow& row = rows[i];
    std::vector<host::TextTable::Cell> cells = {{fmt::format("{}", row.processes)},
                                                {signed_byte_text(row.live_bytes)}};
    if (by == By::kStack) cells.push_back({signed_byte_text(row.error_bytes)});
    if (!has_all) cells.push_back({fmt::format("{}", row.live_blocks)});
    if (by == By::kClass) cells.push_back({signed_byte_text(row.cached_bytes)});
    if (has_all) {
      for (const int64_t value : {row.rss_bytes, row.cached_bytes, row.free_dirty_bytes,
                                  row.returned_bytes, row.metadata_bytes}) {
        cells.push_back({signed_byte_text(value)});
      }
    }
    cells.push_back({names.text(i)});
    table.add_row(std::move(cells));
  }
  return rows.empty() ? "nothing is known for that time\n"
                      : table.render(host::Terminal(STDOUT_FILENO));
}

Json top_json(By by, const std::vector<fleet::TopRow>& rows, const RowNames<fleet::TopRow>& names,
              Json json) {
  json["rows"] = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    const fleet::TopRow& row = rows[i];
    Json entry = {{"processes", row.processes},
                  {"live_bytes", row.live_bytes},
                  {"live_blocks", row.live_blocks}};
    if (by == By::kStack) entry["live_error_bytes"] = row.error_bytes;
    names.add_to(entry, i);
    if (by != By::kStack) entry["cached_bytes"] = row.cached_bytes;
    if (by != By::kStack && by != By::kClass) {
      entry["rss_bytes"] = row.rss_bytes;
      entry["free_dirty_bytes"] = row.free_dirty_bytes;
      entry["returned_bytes"] = row.returned_bytes;
      entry["metadata_bytes"] = row.metadata_bytes;
    }
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

fleet::TableId table_of(By by) {
  return by == By::kStack ? fleet::TableId::kProfiles : fleet::TableId::kStatistics;
}

int run_top(const Arguments& arguments) {
  VerbParser parser(kFleetTopCommand, kTopHelp);
  FleetOptions database;
  SelectionOptions options(kTenMinutes);
  std::string by_name = "service";
  std::string kind;
  size_t most = 20;
  bool as_json = false;
  parser
      .add_option("--by", by_name,
                  "host, service (default), version, command, container, process, stack or class")
      ->type_name("WHAT");
  parser.add_option("--kind", kind, "Ask profiles: " + profile::kind_list())->type_name("KIND");
  add_top_option(parser, most, "Rows to show, 20 by default");
  options.add_to(parser);
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (!kind.empty()) {
    const KindQuestion question = {kind, parser.count("--by") == 0 ? "stack" : by_name, most,
                                   as_json};
    check_kind(question);
    constexpr uint64_t kDay = 86'400'000'000'000;
    if (kind == "growth") options.set_usual(kDay);
    const auto store = open_fleet(database);
    print(answer_kind(*store, options.selection(*store, fleet::TableId::kProfiles), question));
    return host::kExitOk;
  }
  const By by = parse_by("top", by_name);
  const auto store = open_fleet(database);
  const fleet::Selection selection = options.selection(*store, table_of(by));
  const auto rows = fleet::top_rows(*store, by, selection, most);
  const RowNames names(*store, by, rows);
  if (as_json) {
    Json json = fleet_json("top", &selection);
    json["by"] = by_name;
    print(json_line(top_json(by, rows, names, std::move(json))));
  } else {
    print(top_text(by, rows, names, by_name));
  }
  return host::kExitOk;
}

// "14d..7d".
void set_span(const std::string& option, const std::string& text, int64_t newest,
              fleet::Selection& selection) {
  const size_t dots = text.find("..");
  if (dots == std::string::npos) {
    throw host::Error(fmt::format("{}: '{}' is no span of time such as 14d..7d", option, text),
                      host::kExitUsage);
  }
  selection.from_ns = parse_moment(option, text.substr(0, dots), newest);
  selection.to_ns = parse_moment(option, text.substr(dots + 2), newest);
}

int run_diff(const Arguments& arguments) {
  VerbParser parser(kFleetDiffCommand, kDiffHelp);
  FleetOptions database;
  std::vector<std::string> versions;
  std::string before_text, after_text, host, service;
  std::string by_name = "service";
  size_t most = 20;
  bool as_json = false;
  parser.add_option("--versions", versions, "Two versions of a service")
      ->type_name("A B")
      ->expected(2);
  parser.add_option("--before", before_text, "A span of time")->type_name("WHEN..WHEN");
  parser.add_option("--after", after_text, "Another one")->type_name("WHEN..WHEN");
  parser.add_option("--by", by_name, "As of tide fleet top")->type_name("WHAT");
  parser.add_option("--service", service, "Only that service")->type_name("NAME");
  parser.add_option("--host", host, "Only that host")->type_name("NAME");
  add_top_option(parser, most, "Rows to show, 20 by default");
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  const By by = parse_by("diff", by_name);
  if (versions.empty() && (before_text.empty() || after_text.empty())) {
    throw host::Error(
        "it needs --versions A B, or --before and --after; see: tide fleet diff --help",
        host::kExitUsage);
  }
  const auto store = open_fleet(database);
  const int64_t newest = fleet::newest(*store, table_of(by));
  fleet::Selection before{0, INT64_MAX, host, service, {}, {}};
  fleet::Selection after = before;
  if (!versions.empty()) {
    before.version = versions[0];
    after.version = versions[1];
  }
  if (!before_text.empty()) set_span("--before", before_text, newest, before);
  if (!after_text.empty()) set_span("--after", after_text, newest, after);
  const auto rows = fleet::difference_rows(*store, by, before, after, most);
  const RowNames names(*store, by, rows);
  if (as_json) {
    Json json = fleet_json("diff", nullptr);
    json["by"] = by_name;
    json["rows"] = Json::array();
    for (size_t i = 0; i < rows.size(); ++i) {
      Json entry = {{"before_bytes", rows[i].before}, {"after_bytes", rows[i].after}};
      names.add_to(entry, i);
      json["rows"].push_back(std::move(entry));
    }
    print(json_line(json));
    return host::kExitOk;
  }
  host::TextTable table({{"BEFORE", Align::kRight},
                         {"AFTER", Align::kRight},
                         {"CHANGE", Align::kRight},
                         {"%", Align::kRight},
                         {names.title(by_name)}});
  for (size_t i = 0; i < rows.size(); ++i) {
    const fleet::DifferenceRow& row = rows[i];
    const double change = row.after - row.before;
    table.add_row({{signed_byte_text(std::llround(row.before))},
                   {signed_byte_text(std::llround(row.after))},
                   {(change > 0 ? "+" : "") + signed_byte_text(std::llround(change))},
                   {row.before == 0 ? "new" : fmt::format("{:+.1f}", 100 * change / row.before)},
                   {names.text(i)}});
  }
  print(rows.empty() ? "nothing is known of either\n"
                     : table.render(host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const Command kFleetTopCommand = {"fleet top", "Who has the memory", run_top};
const Command kFleetDiffCommand = {"fleet diff", "What two versions or two weeks differ in",
                                   run_diff};

}  // namespace tide::cli
