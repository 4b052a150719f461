// `tide fleet`: questions to the database that agents fill. Each verb is in fleet_*.cc.

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/fleet_verbs.h"
#include "host/error.h"

namespace tide::cli {
namespace {

constexpr std::array kVerbs = {&kFleetTopCommand,    &kFleetDiffCommand,   &kFleetLeaksCommand,
                               &kFleetRssCommand,    &kFleetTraceCommand,  &kFleetReportCommand,
                               &kFleetImportCommand, &kFleetExpireCommand, &kFleetSqlCommand,
                               &kFleetSchemaCommand};

std::string short_name(const Command& command) {
  return std::string(command.name.substr(command.name.find(' ') + 1));
}

std::string verbs_overview() {
  std::string text =
      "Example:\n"
      "  tide fleet top --db fleet.db --by service\n"
      "  tide fleet leaks --db clickhouse://tide@127.0.0.1:8123/heaps --from 24h\n\n"
      "Usage: tide fleet VERB [OPTIONS]\n\n"
      "Asks the database that 'tide agent' fills: a file of SQLite, or ClickHouse. The answers "
      "are\n"
      "the same. 'tide fleet VERB --help' shows the options of a verb.\n\n"
      "Verbs:\n";
  for (const Command* verb : kVerbs) {
    text += fmt::format("  {:<10}{}\n", short_name(*verb), verb->summary);
  }
  return text;
}

int run_fleet(const Arguments& arguments) {
  if (arguments.empty()) {
    fmt::print(stderr, "{}", verbs_overview());
    return host::kExitUsage;
  }
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h") {
    print(verbs_overview());
    return host::kExitOk;
  }
  std::vector<std::string> names;
  for (const Command* verb : kVerbs) {
    names.push_back(short_name(*verb));
    if (names.back() == first) return verb->run({arguments.begin() + 1, arguments.end()});
  }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  throw host::Error(fmt::format("there is no {} '{}'{}; see: tide fleet --help",
                                first.starts_with('-') ? "option" : "verb", first,
                                did_you_mean(first, candidates)),
                    host::kExitUsage);
}

}  // namespace

const Command kFleetCommand = {"fleet", "Ask about the memory of many machines", run_fleet};

}  // namespace tide::cli
