// What main() knows of a verb, and what the verbs share of the command line.
//
// One verb per cmd_*.cc; each defines one Command and nothing else visible. A new verb is a new
// file and a line in main.cc. Verbs throw host::Error; main() prints it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tide::cli {

using Arguments = std::vector<std::string>;

struct Command {
  std::string_view name;
  std::string_view summary;  // one line for `tide --help`
  // The arguments behind the verb. Returns the exit status.
  int (*run)(const Arguments& arguments);
};

extern const Command kAgentCommand;
extern const Command kCompareCommand;
extern const Command kConvertCommand;
extern const Command kDoctorCommand;
extern const Command kEnvCommand;
extern const Command kFleetCommand;
extern const Command kHeapCommand;
extern const Command kInfoCommand;
extern const Command kReplayCommand;
extern const Command kReportCommand;
extern const Command kProfileCommand;
extern const Command kRunCommand;
extern const Command kTopCommand;
extern const Command kTraceCommand;

// The text of `tide VERB --help`: an example first, then the usage and the options.
struct HelpText {
  std::string_view example;  // indented lines, each with its newline
  std::string_view usage;    // the whole line behind "Usage: "
  std::string_view about;    // paragraphs behind the usage
  std::string_view notes;    // behind the options; may be empty
};

// A parser with that help and -h, --help in it.
class VerbParser : public CLI::App {
 public:
  VerbParser(const Command& command, const HelpText& help);

  // Parses. True: go on. False: help was asked for and has been printed.
  // Throws host::Error (kExitUsage) for a bad command line, with the place where help is.
  bool accept(const Arguments& arguments);

 private:
  std::string verb_;
};

// --top N of `what`: how many rows there are to be, at least one.
void add_top_option(CLI::App& parser, size_t& most, const std::string& what);

// Splits `[options] [--] PROG ARGS...` where PROG begins: at `--`, or at the first argument that is
// neither one of `parser`'s options nor an option's value. What follows belongs to the program.
struct SplitArguments {
  Arguments own;
  Arguments program;
};
SplitArguments split_at_program(const CLI::App& parser, const Arguments& arguments);

// The one of `candidates` that a mistyped `word` most likely means; empty when none is near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

// " (did you mean 'X'?)", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

// Writes all of it to stdout; throws host::Error when that fails (a full disk).
void print(std::string_view text);

}  // namespace tide::cli
