#include "cli/fleet_options.h"

#include <fmt/format.h>

#include <charconv>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "host/error.h"

namespace tide::cli {
namespace {

double with_unit(const std::string& option, const std::string& text, std::string_view example,
                 std::initializer_list<std::pair<std::string_view, double>> units) {
  double number = 0;
  const char* const stop = text.data() + text.size();
  const auto [end, fault] = std::from_chars(text.data(), stop, number);
  const std::string_view unit(end, static_cast<size_t>(stop - end));
  constexpr double kMost = 9e18;
  for (const auto& [name, factor] : units) {
    if (fault != std::errc() || unit != name) continue;
    if (number > 0 && number * factor <= kMost) return number * factor;
  }
  throw host::Error(fmt::format("{}: '{}' is no value such as {}", option, text, example),
                    host::kExitUsage);
}

}  // namespace

void FleetOptions::add_to(CLI::App& parser, const std::string& usual) {
  parser
      .add_option("--db", database_,
                  "The database: a file, or clickhouse://USER@HOST:PORT/DB; " + usual)
      ->type_name("DB");
  parser
      .add_option("--password-file", password_file_,
                  "File with its password, else TIDE_FLEET_PASSWORD")
      ->type_name("FILE");
  parser.add_flag("--plain", is_plain_allowed_, "Use a database on another machine without TLS");
}

fleet::DatabaseAddress FleetOptions::address() const {
  return fleet::parse_database(database_, password_file_, is_plain_allowed_);
}

uint64_t parse_duration(const std::string& option, const std::string& text) {
  constexpr double kSecond = 1e9;
  return static_cast<uint64_t>(with_unit(option, text, "30s, 15m, 12h or 30d",
                                         {{"", kSecond},
                                          {"ms", kSecond / 1000},
                                          {"s", kSecond},
                                          {"m", 60 * kSecond},
                                          {"h", 3600 * kSecond},
                                          {"d", 86400 * kSecond},
                                          {"w", 7 * 86400 * kSecond}}));
}

uint64_t parse_size(const std::string& option, const std::string& text) {
  constexpr double kKilo = 1024;
  return static_cast<uint64_t>(
      with_unit(option, text, "64M or 1G",
                {{"", 1}, {"K", kKilo}, {"M", kKilo * kKilo}, {"G", kKilo * kKilo * kKilo}}));
}

}  // namespace tide::cli
