// `tide fleet sql`, `schema` and `expire`: the database itself.

#include <fmt/format.h>
#include <unistd.h>

#include "cli/fleet_rows.h"
#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "fleet/schema.h"
#include "host/error.h"
#include "host/terminal.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr HelpText kSqlHelp = {
    "  tide fleet sql 'SELECT service, max(live_bytes) FROM statistics GROUP BY service'\n",
    "tide fleet sql [OPTIONS] SQL",
    "Asks the database in its own words. Which tables there are: tide fleet schema.\n", ""};

constexpr HelpText kSchemaHelp = {
    "  tide fleet schema\n", "tide fleet schema [OPTIONS]",
    "Shows the tables and columns of the database, for plain SQL. It needs no database.\n", ""};

constexpr HelpText kExpireHelp = {
    "  tide fleet expire --older-than 30d\n", "tide fleet expire [OPTIONS] --older-than TIME",
    "Removes figures, profiles and traces that are older. ClickHouse does it in the background.\n",
    "'tide agent --keep 30d' does it once an hour.\n"};

std::string text_of(const fleet::ResultCell& cell) {
  if (const auto* const text = std::get_if<std::string>(&cell)) return host::printable(*text);
  if (const auto* const number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  return fmt::format("{}", std::get<int64_t>(cell));
}

Json json_of(const fleet::ResultCell& cell) {
  return std::visit([](const auto& value) { return Json(value); }, cell);
}

int run_sql(const Arguments& arguments) {
  VerbParser parser(kFleetSqlCommand, kSqlHelp);
  FleetOptions database;
  std::string sql;
  bool as_json = false;
  parser.add_option("SQL", sql)->group("");
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (sql.empty()) {
    throw host::Error("no question given; see: tide fleet sql --help", host::kExitUsage);
  }
  const auto store = open_fleet(database);
  const fleet::Result result = store->ask_freely(sql);
  if (result.columns.empty()) throw host::Error("the database has nothing to say to that");
  if (as_json) {
    Json json = fleet_json("sql", nullptr);
    json["columns"] = result.columns;
    json["rows"] = Json::array();
    for (const auto& row : result.rows) {
      Json cells = Json::array();
      for (const fleet::ResultCell& cell : row) cells.push_back(json_of(cell));
      json["rows"].push_back(std::move(cells));
    }
    print(json_line(json));
    return host::kExitOk;
  }
  std::vector<host::TextTable::Column> columns;
  for (const std::string& name : result.columns) columns.push_back({host::printable(name)});
  host::TextTable table(columns);
  for (const auto& row : result.rows) {
    std::vector<host::TextTable::Cell> cells;
    for (const fleet::ResultCell& cell : row) cells.push_back({text_of(cell)});
    table.add_row(std::move(cells));
  }
  print(table.render(host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

int run_schema(const Arguments& arguments) {
  VerbParser parser(kFleetSchemaCommand, kSchemaHelp);
  bool as_json = false;
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  Json json = fleet_json("schema", nullptr);
  json["schema_version"] = fleet::kSchemaVersion;
  json["tables"] = Json::array();
  std::string text = fmt::format("schema version {}\n", fleet::kSchemaVersion);
  for (const fleet::Table& table : fleet::tables()) {
    text += fmt::format("\n{}: {}; key: {}\n", table.name, table.meaning, table.key);
    Json columns = Json::array();
    for (const fleet::Column& column : table.columns) {
      const bool is_text = column.type == fleet::Type::kText;
      text += fmt::format("  {:<20} {:<7} {}\n", column.name, is_text ? "text" : "integer",
                          column.meaning);
      columns.push_back({{"name", column.name},
                         {"type", is_text ? "text" : "integer"},
                         {"meaning", column.meaning}});
    }
    json["tables"].push_back({{"name", table.name},
                              {"meaning", table.meaning},
                              {"key", table.key},
                              {"columns", std::move(columns)}});
  }
  print(as_json ? json_line(json) : text);
  return host::kExitOk;
}

int run_expire(const Arguments& arguments) {
  VerbParser parser(kFleetExpireCommand, kExpireHelp);
  FleetOptions database;
  std::string age;
  bool as_json = false;
  parser.add_option("--older-than", age, "What is older goes")->type_name("TIME");
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (age.empty()) {
    throw host::Error("--older-than is needed; see: tide fleet expire --help", host::kExitUsage);
  }
  const auto before = static_cast<int64_t>(now_since_1970() - parse_duration("--older-than", age));
  open_fleet(database)->remove_before(before);
  Json json = fleet_json("expire", nullptr);
  json["before_ns"] = before;
  if (as_json) {
    print(json_line(json));
  } else {
    print(fmt::format("what is from before {} (UTC) is removed\n", moment_text(before)));
  }
  return host::kExitOk;
}

}  // namespace

const Command kFleetSqlCommand = {"fleet sql", "Ask in SQL", run_sql};
const Command kFleetSchemaCommand = {"fleet schema", "Tables and columns, for SQL", run_schema};
const Command kFleetExpireCommand = {"fleet expire", "Remove what is old", run_expire};

}  // namespace tide::cli
