#include "cli/fleet_verbs.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

#include "host/byte_text.h"
#include "host/error.h"
#include "host/terminal.h"

namespace tide::cli {

std::unique_ptr<fleet::Store> open_fleet(const FleetOptions& options) {
  const fleet::DatabaseAddress address = options.address();
  std::unique_ptr<fleet::Store> store = fleet::open_store(address, true);
  if (!store->is_prepared()) {
    throw host::Error(fmt::format(
        "the database '{}' is empty; tide agent and tide fleet import fill it", address.text()));
  }
  return store;
}

void SelectionOptions::add_to(CLI::App& parser) {
  parser.add_option("--from", from_, "From there on: 2h before the newest, or 2026-11-22T10:30")
      ->type_name("WHEN");
  parser.add_option("--to", to_, "Up to there; the newest by default")->type_name("WHEN");
  parser.add_option("--host", host_, "Only that host")->type_name("NAME");
  parser.add_option("--service", service_, "Only that service")->type_name("NAME");
  parser.add_option("--version", version_, "Only that version of it")->type_name("NAME");
  parser.add_option("--container", container_, "Only that container")->type_name("NAME");
}

fleet::Selection SelectionOptions::selection(fleet::Store& store, fleet::TableId table) const {
  fleet::Selection selection;
  const int64_t newest = fleet::newest(store, table);
  selection.to_ns = to_.empty() ? newest : parse_moment("--to", to_, newest);
  selection.from_ns = from_.empty() ? selection.to_ns - static_cast<int64_t>(usual_ns_)
                                    : parse_moment("--from", from_, newest);
  if (selection.from_ns > selection.to_ns) {
    throw host::Error("--from is later than --to", host::kExitUsage);
  }
  selection.host = host_;
  selection.service = service_;
  selection.version = version_;
  selection.container = container_;
  return selection;
}

int64_t parse_moment(const std::string& option, const std::string& text, int64_t newest_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  tm parts{};
  int used = 0;
  const int count = std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon,
                                &parts.tm_mday, &used);
  if (count != 3) {
    return text == "0" ? newest_ns : newest_ns - static_cast<int64_t>(parse_duration(option, text));
  }
  std::string rest = text.substr(static_cast<size_t>(used));
  bool is_good = rest.empty();
  if (!is_good && (rest[0] == 'T' || rest[0] == ' ')) {
    if (rest.back() == 'Z') rest.pop_back();
    int end = 0;
    const int time = std::sscanf(rest.c_str() + 1, "%2d:%2d%n:%2d%n", &parts.tm_hour, &parts.tm_min,
                                 &end, &parts.tm_sec, &end);
    is_good = time >= 2 && static_cast<size_t>(end) + 1 == rest.size();
  }
  if (!is_good) {
    throw host::Error(
        fmt::format("{}: '{}' is no time such as 2h or 2026-11-22T10:30", option, text),
        host::kExitUsage);
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return int64_t{timegm(&parts)} * kSecond;
}

std::string moment_text(int64_t time_ns) {
  const time_t seconds = time_ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%F %T", &parts);
  return text;
}

fleet::By parse_by(const std::string& verb, const std::string& text) {
  using fleet::By;
  constexpr std::pair<const char*, By> kKnown[] = {
      {"host", By::kHost},       {"service", By::kService},     {"version", By::kVersion},
      {"command", By::kCommand}, {"container", By::kContainer}, {"process", By::kProcess},
      {"stack", By::kStack},     {"class", By::kClass}};
  for (const auto& [name, by] : kKnown) {
    if (text == name) return by;
  }
  throw host::Error(fmt::format("--by: '{}' is neither host, service, version, command, container, "
                                "process, stack nor class; see: tide fleet {} --help",
                                text, verb),
                    host::kExitUsage);
}

std::string functions_text(const std::vector<std::string>& functions, size_t most) {
  std::string text;
  for (size_t i = 0; i < functions.size() && i < most; ++i) {
    text += (i == 0 ? "" : " < ") + functions[i];
  }
  return text.empty() ? "(unknown)" : host::printable(text);
}

std::string signed_byte_text(int64_t bytes) {
  return bytes < 0 ? "-" + host::short_byte_text(static_cast<uint64_t>(-bytes))
                   : host::short_byte_text(static_cast<uint64_t>(bytes));
}

nlohmann::ordered_json fleet_json(const std::string& verb, const fleet::Selection* selection) {
  nlohmann::ordered_json json = {{"tide_fleet", verb}};
  if (selection != nullptr) {
    json["from_ns"] = selection->from_ns;
    json["to_ns"] = selection->to_ns;
  }
  return json;
}

}  // namespace tide::cli
