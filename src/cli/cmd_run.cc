// `tide run`: replaces itself by the program, with libtide.so in LD_PRELOAD and the options in the
// environment. It stays in no process tree, so exit status, signals and job control are the
// program's.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cli/command.h"
#include "cli/option_table.h"
#include "host/error.h"
#include "host/preload.h"
#include "host/program.h"

namespace tide::cli {
namespace {

namespace fs = std::filesystem;

constexpr HelpText kHelp = {
    "  tide run -- python3 job.py\n"
    "  tide run --limit 2G -- ./server\n"
    "  tide run --keep-malloc --profile=job.prof -- python3 job.py\n"
    "  tide run --stats=json:job.json -o thread_cache=1M -- redis-server --port 7000\n",
    "tide run [OPTIONS] [--] PROG [ARGS...]",
    "Runs PROG, and every program that it starts, on Tide instead of the system's malloc.\n"
    "PROG takes the place of 'tide run': its exit status and its signals are its own.\n",
    "With --limit, allocations of each process fail once its heap would pass SIZE; from SOFT bytes "
    "on\n"
    "(nine tenths of SIZE, unless given) memory goes back to the system sooner. 'auto' takes both\n"
    "from the control group.\n"
    "\n"
    "With --profile, 'tide profile PID' shows where live memory was allocated while PROG runs, "
    "and\n"
    "'tide profile FILE' what it was at its end; %p in FILE becomes the process id. With\n"
    "--keep-malloc PROG stays on its own malloc, whichever that is, and its calls are sampled.\n"
    "\n"
    "The statistics' FORM is text, json or prometheus.\n"
    "They go to standard error or are appended to FILE; %p in its name becomes the process id.\n"
    "Without --library, the library is $TIDE_LIBRARY, or else the libtide.so that came with this\n"
    "command. 'tide env' lists what -o can set. Programs that nothing can be loaded into\n"
    "(statically linked, set-uid, for another machine or C library) are refused.\n"
    "\n"
    "Exit status: the program's, or\n"
    "  2    the command line is wrong\n"
    "  125  Tide itself failed, mostly because the library is missing\n"
    "  126  PROG is there but cannot be run, or cannot be run on Tide\n"
    "  127  PROG was not found\n"};

constexpr std::string_view kLibraryVariable = "TIDE_LIBRARY";

[[noreturn]] void fail_usage(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide run --help", message), host::kExitUsage);
}

// `who` is the option of ours that asked for it.
void set_option(std::string_view who, std::string_view name, std::string_view value,
                host::Environment& environment) {
  if (const auto fault = option_fault(name, value)) {
    throw host::Error(fmt::format("{}: {}", who, *fault), host::kExitUsage);
  }
  environment.set(option_variable(name), value);
}

// A file that the program will write when it ends is better checked now. Absolute, because the
// program may change its folder.
std::string checked_stats_file(const std::string& name) {
  const fs::path path = fs::absolute(name).lexically_normal();
  const std::string folder = path.parent_path().string();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fail_usage(fmt::format("--stats: there is no folder '{}' to put '{}' into", folder,
                           path.filename().string()));
  }
  if (fs::is_directory(path, error)) fail_usage(fmt::format("--stats: '{}' is a folder", name));
  return path.string();
}

// `spec` is what follows "--stats=": [text|json|prometheus][:FILE].
void set_stats(std::string_view spec, host::Environment& environment) {
  const size_t colon = spec.find(':');
  const std::string_view form = spec.substr(0, colon);
  if (!form.empty() && form != "text" && form != "json" && form != "prometheus") {
    fail_usage(fmt::format("--stats: '{}' is neither 'text', 'json' nor 'prometheus'", form));
  }
  set_option("--stats", "stats", form.empty() ? "text" : form, environment);
  if (colon == std::string_view::npos) return;
  const std::string file(spec.substr(colon + 1));
  if (file.empty()) fail_usage("--stats: no file name after ':'");
  set_option("--stats", "stats_file", checked_stats_file(file), environment);
}

// `file` is what follows "--profile=", or empty.
void set_profile(const std::string& file, host::Environment& environment) {
  set_option("--profile", "profile", "on", environment);
  if (file.empty()) return;
  const fs::path path = fs::absolute(file).lexically_normal();
  std::error_code error;
  if (!fs::is_directory(path.parent_path(), error)) {
    fail_usage(fmt::format("--profile: there is no folder '{}' to put '{}' into",
                           path.parent_path().string(), path.filename().string()));
  }
  if (fs::is_directory(path, error)) fail_usage(fmt::format("--profile: '{}' is a folder", file));
  set_option("--profile", "profile_file", path.string(), environment);
}

uint64_t limit_bytes(std::string_view name, std::string_view text) {
  if (const auto fault = option_fault(name, text)) fail_usage(fmt::format("--limit: {}", *fault));
  uint64_t number = 0;
  api::check_value(api::kOptionRows[api::find_option(name)], text, number);
  return number;
}

// `spec` is SIZE[:SOFT]; each of them may be "auto".
void set_limit(std::string_view spec, host::Environment& environment) {
  const size_t colon = spec.find(':');
  const std::string_view hard_text = spec.substr(0, colon);
  const uint64_t hard = limit_bytes("limit_hard", hard_text);
  std::string soft_text = hard == api::kAuto ? "auto" : fmt::format("{}", hard / 10 * 9);
  if (colon != std::string_view::npos) soft_text = spec.substr(colon + 1);
  const uint64_t soft = limit_bytes("limit_soft", soft_text);
  if (hard != api::kAuto && soft != api::kAuto && hard != 0 && soft > hard) {
    fail_usage(
        fmt::format("--limit: the soft limit '{}' is above the limit '{}'", soft_text, hard_text));
  }
  set_option("--limit", "limit_hard", hard_text, environment);
  set_option("--limit", "limit_soft", soft_text, environment);
}

void apply_setting(const std::string& setting, host::Environment& environment) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail_usage(fmt::format("-o: '{}' is not of the form OPTION=VALUE", setting));
  }
  set_option("-o", setting.substr(0, equals), setting.substr(equals + 1), environment);
}

// The program stays on its own malloc, and libtide-trace.so samples its calls.
void keep_malloc(const std::vector<std::string>& settings, host::Environment& environment) {
  std::string rate = "512KiB";
  for (const std::string& setting : settings) {
    const std::string name = setting.substr(0, setting.find('='));
    if (name != "profile_rate") {
      fail_usage(fmt::format("--keep-malloc: '{}' is an option of Tide's malloc", name));
    }
    rate = setting.substr(std::min(setting.size(), name.size() + 1));
  }
  if (const auto fault = option_fault("profile_rate", rate))
    fail_usage(fmt::format("-o: {}", *fault));
  uint64_t number = 0;
  api::check_value(api::kOptionRows[api::find_option("profile_rate")], rate, number);
  environment.set("TIDE_SAMPLE_RATE", std::to_string(number));
  const auto file = environment.get(option_variable("profile_file"));
  if (file.has_value()) environment.set("TIDE_SAMPLE_FILE", *file);
}

host::PreloadLibrary find_library(const std::string& given) {
  if (!given.empty()) return host::open_preload_library(given);
  const char* variable = std::getenv(std::string(kLibraryVariable).c_str());
  if (variable != nullptr && *variable != '\0') return host::open_preload_library(variable);
  return host::open_preload_library(host::find_own_library());
}

// "--stats:FILE" is "--stats" with a file; to CLI11 it would be another option.
Arguments spell_out_stats(Arguments arguments) {
  constexpr std::string_view kShort = "--stats:";
  for (std::string& argument : arguments) {
    if (argument.starts_with(kShort)) argument.replace(0, kShort.size(), "--stats=:");
  }
  return arguments;
}

int run(const Arguments& arguments) {
  VerbParser parser(kRunCommand, kHelp);
  std::vector<std::string> settings;
  std::string library_path;
  std::string stats;
  std::string limit;
  std::string profile;
  parser
      .add_option("-o,--option", settings,
                  "Set an option of the library, as TIDE_<OPTION> would (repeatable)")
      ->type_name("OPTION=VALUE")
      ->allow_extra_args(false);
  CLI::Option* stats_flag =
      parser.add_flag("--stats{text}", stats, "Write the allocator's statistics at exit");
  stats_flag->type_name("[=FORM][:FILE]");
  CLI::Option* profile_flag = parser.add_flag(
      "--profile{}", profile, "Sample allocations; write the profile to FILE at exit");
  profile_flag->type_name("[=FILE]");
  CLI::Option* limit_option = parser.add_option(
      "--limit", limit, "Limit each process's heap: allocations beyond SIZE fail");
  limit_option->type_name("SIZE[:SOFT] or auto");
  bool keeps_malloc = false;
  parser.add_flag("--keep-malloc", keeps_malloc,
                  "With --profile: leave PROG on its own malloc, and sample that");
  parser.add_option("--library", library_path, "Preload this library")->type_name("PATH");

  const SplitArguments split = split_at_program(parser, arguments);
  if (!parser.accept(spell_out_stats(split.own))) return host::kExitOk;
  if (split.program.empty()) fail_usage("no program given");

  host::Environment environment;
  if (stats_flag->count() != 0) set_stats(stats, environment);
  if (limit_option->count() != 0) set_limit(limit, environment);
  if (profile_flag->count() != 0) set_profile(profile, environment);
  if (keeps_malloc) {
    if (profile_flag->count() == 0) fail_usage("--keep-malloc: is for --profile");
    if (stats_flag->count() + limit_option->count() != 0) {
      fail_usage("--keep-malloc: --stats and --limit are of Tide's malloc");
    }
    keep_malloc(settings, environment);
    if (library_path.empty()) library_path = host::find_own_library("libtide-trace.so");
  } else {
    for (const std::string& setting : settings) apply_setting(setting, environment);
  }

  const host::PreloadLibrary library = find_library(library_path);
  const std::string path = host::find_program(split.program.front());
  host::require_preloadable(path, library);
  environment.set("LD_PRELOAD",
                  host::preload_list(library.path, environment.get("LD_PRELOAD").value_or("")));
  host::exec_program(path, split.program, environment);
}

}  // namespace

const Command kRunCommand = {"run", "Run a program, children included, on Tide", run};

}  // namespace tide::cli
