// `tide env`: the library's options, the value each would have in a program started from here, and
// where it comes from.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/option_table.h"
#include "host/error.h"
#include "host/terminal.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using api::OptionId;
using api::OptionRow;
using api::OptionType;
using host::Style;
using host::Terminal;
using host::TextTable;
// Keeps the fields in the order in which they are written here.
using Json = nlohmann::ordered_json;

// A value from the environment need not be UTF-8; JSON has to be.
std::string printable(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

constexpr HelpText kHelp = {
    "  tide env\n"
    "  TIDE_STATS=json tide env stats\n",
    "tide env [OPTIONS] [NAME]",
    "Lists every option of the library: its value in a program that is started from here, the\n"
    "default, what is allowed, and where the value came from. With NAME, that option only.\n",
    "Options are set by TIDE_<OPTION>=VALUE, by TIDE_OPTIONS=\"a=1,b=2\", or by 'tide run -o'.\n"
    "A variable that the library would warn about is reported here in the same words.\n"};

// One option of the table with its value here.
struct Entry {
  const api::OptionSet* values;
  OptionId id;

  const OptionRow& row() const { return api::kOptionRows[static_cast<size_t>(id)]; }
  std::string value() const { return value_text(*values, id); }
  std::string source() const { return source_text(*values, id); }
  Style style() const {
    return values->source(id) == api::OptionSource::kDefault ? Style::kPlain : Style::kGreen;
  }
  // The words of a choice are in the table's unit column, and here in the range.
  std::string unit() const {
    return row().type == OptionType::kChoice ? std::string() : std::string(row().unit);
  }
};

// An empty cell would look as if the columns were shifted.
std::string shown(const std::string& value) { return value.empty() ? "-" : value; }

std::string table_of(const std::vector<Entry>& entries, const Terminal& terminal) {
  TextTable table({{"OPTION"}, {"VALUE"}, {"DEFAULT"}, {"UNIT"}, {"RANGE"}, {"FROM"}, {"HELP"}});
  for (const Entry& entry : entries) {
    const OptionRow& row = entry.row();
    table.add_row({{std::string(row.name), Style::kBold},
                   {shown(entry.value()), entry.style()},
                   {shown(default_text(row))},
                   {shown(entry.unit())},
                   {shown(range_text(row))},
                   {entry.source(), entry.style()},
                   {std::string(row.help)}});
  }
  return table.render(terminal);
}

std::string details_of(const Entry& entry, const Terminal& terminal) {
  const OptionRow& row = entry.row();
  TextTable table({{std::string(row.name)}, {std::string(row.help)}});
  const bool is_fixed = row.change == api::OptionChange::kAtStart;
  table.add_row({{"value"}, {shown(entry.value()), entry.style()}});
  table.add_row({{"from"}, {entry.source(), entry.style()}});
  table.add_row({{"default"}, {shown(default_text(row))}});
  table.add_row({{"type"}, {std::string(api::type_name(row.type))}});
  table.add_row({{"unit"}, {shown(entry.unit())}});
  table.add_row({{"range"}, {shown(range_text(row))}});
  table.add_row({{"variable"}, {option_variable(row.name)}});
  table.add_row({{"change"}, {is_fixed ? "at start" : "any time"}});
  return table.render(terminal);
}

// Numbers are in the option's unit, durations in nanoseconds; words and texts are strings.
Json json_number(const OptionRow& row, uint64_t number) {
  switch (row.type) {
    case OptionType::kBoolean:
      return number != 0;
    case OptionType::kChoice:
      return choices_of(row)[number - row.minimum];
    case OptionType::kText:
      return "";
    case OptionType::kLimit:
      if (number == api::kAuto) return "auto";
      break;
    case OptionType::kInteger:
    case OptionType::kBytes:
    case OptionType::kDuration:
      break;
  }
  return number;
}

Json json_of(const Entry& entry) {
  const OptionRow& row = entry.row();
  const bool is_number = row.type == OptionType::kInteger || row.type == OptionType::kBytes ||
                         row.type == OptionType::kLimit || row.type == OptionType::kDuration;
  Json json;
  json["name"] = row.name;
  json["value"] = row.type == OptionType::kText ? Json(entry.value())
                                                : json_number(row, entry.values->number(entry.id));
  json["default"] = json_number(row, row.initial);
  json["type"] = api::type_name(row.type);
  json["unit"] = row.type == OptionType::kDuration ? "nanoseconds" : entry.unit();
  json["minimum"] = is_number ? Json(row.minimum) : Json();
  json["maximum"] = is_number ? Json(row.maximum) : Json();
  json["choices"] = choices_of(row);
  json["source"] = entry.source();
  json["variable"] = option_variable(row.name);
  json["change"] = row.change == api::OptionChange::kAtStart ? "at_start" : "any_time";
  json["help"] = row.help;
  return json;
}

Json json_of(const std::vector<Entry>& entries, const std::vector<std::string>& warnings) {
  Json document = {{"options", Json::array()}, {"warnings", warnings}};
  for (const Entry& entry : entries) document["options"].push_back(json_of(entry));
  return document;
}

int run(const Arguments& arguments) {
  VerbParser parser(kEnvCommand, kHelp);
  std::string name;
  bool as_json = false;
  parser.add_option("NAME", name)->group("");
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;

  const LoadedOptions loaded = load_options();
  const Terminal terminal(STDOUT_FILENO);
  if (name.empty()) {
    std::vector<Entry> entries;
    for (size_t i = 0; i < api::kOptionCount; ++i) {
      entries.push_back({&loaded.values, static_cast<OptionId>(i)});
    }
    print(as_json ? printable(json_of(entries, loaded.warnings)) : table_of(entries, terminal));
  } else {
    const auto id = find_option(name);
    if (!id.has_value()) throw host::Error(unknown_option(name), host::kExitUsage);
    const Entry entry{&loaded.values, *id};
    print(as_json ? printable(json_of(entry)) : details_of(entry, terminal));
  }
  // As the library writes them.
  for (const std::string& warning : loaded.warnings) fmt::print(stderr, "tide: {}\n", warning);
  return host::kExitOk;
}

}  // namespace

const Command kEnvCommand = {"env", "List every option of the library, its value and where from",
                             run};

}  // namespace tide::cli
