// The `tide` command: finds the verb and runs it. What verbs do stands in cmd_*.cc.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <vector>

#include "cli/command.h"
#include "host/error.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

constexpr std::array kCommands = {
    &kRunCommand,    &kProfileCommand, &kTraceCommand,   &kInfoCommand, &kConvertCommand,
    &kReplayCommand, &kReportCommand,  &kCompareCommand, &kTopCommand,  &kAgentCommand,
    &kFleetCommand,  &kDoctorCommand,  &kHeapCommand,    &kEnvCommand};

std::string overview() {
  std::string text =
      "Example:\n"
      "  tide run --stats -- python3 job.py\n\n"
      "Usage: tide VERB [OPTIONS]\n\n"
      "Verbs:\n";
  for (const Command* command : kCommands) {
    text += fmt::format("  {:<10}{}\n", command->name, command->summary);
  }
  text +=
      "\nOptions:\n"
      "  -h,--help   Show this help; 'tide VERB --help' shows a verb's\n"
      "  --version   Show the version\n";
  return text;
}

int run(const Arguments& arguments) {
  if (arguments.empty()) {
    fmt::print(stderr, "{}", overview());
    return host::kExitUsage;
  }
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h") {
    print(overview());
    return host::kExitOk;
  }
  if (first == "--version") {
    print("tide " TIDE_VERSION "\n");
    return host::kExitOk;
  }
  std::vector<std::string_view> names;
  for (const Command* command : kCommands) {
    if (command->name == first) return command->run({arguments.begin() + 1, arguments.end()});
    names.push_back(command->name);
  }
  throw host::Error(
      fmt::format("there is no {} '{}'{}; see: tide --help",
                  first.starts_with('-') ? "option" : "verb", first, did_you_mean(first, names)),
      host::kExitUsage);
}

// "tide" or "tide VERB": what a line about an error begins with.
std::string speaker(const Arguments& arguments) {
  const bool has_verb =
      !arguments.empty() && std::any_of(kCommands.begin(), kCommands.end(),
                                        [&](const Command* c) { return c->name == arguments[0]; });
  return has_verb ? "tide " + arguments[0] : "tide";
}

}  // namespace
}  // namespace tide::cli

int main(int argc, char** argv) {
  const tide::cli::Arguments arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto report = [&](const char* message, int exit_status) {
    const tide::host::Terminal terminal(STDERR_FILENO);
    const std::string who = tide::cli::speaker(arguments) + ":";
    fmt::print(stderr, "{} {}\n", terminal.styled(who, tide::host::Style::kRed),
               tide::host::printable(message));
    return exit_status;
  };
  try {
    return tide::cli::run(arguments);
  } catch (const tide::host::Error& error) {
    return report(error.what(), error.exit_status());
  } catch (const std::exception& error) {
    return report(error.what(), tide::host::kExitFailed);
  }
}
