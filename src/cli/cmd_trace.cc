// `tide trace`: the command line of it. What it does is in trace_record.cc, trace_attach.cc,
// trace_collect.cc and trace_control.cc.

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "cli/command.h"
#include "cli/fleet_trace_output.h"
#include "cli/process_number.h"
#include "cli/trace_control.h"
#include "cli/trace_options.h"
#include "host/error.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide trace -- python3 job.py\n"
    "  tide trace -o run1 --stacks fp -- ./server --port 7000\n"
    "  tide trace --pid 4711 --for 30s          # a process on Tide that runs already\n"
    "  tide trace --control run1 marker 'load begins'\n"
    "  tide trace --collect 7007 -o traces      # here, and on another machine:\n"
    "  tide trace --to tcp://here:7007 -- ./server\n"
    "  tide trace --to clickhouse://tide@127.0.0.1:8123/heaps -- ./server\n",
    "tide trace [OPTIONS] [--] PROG [ARGS...]\n"
    "       tide trace --pid PID [--for TIME] [OPTIONS]\n"
    "       tide trace --control DIR pause|resume|stop|sync|reset|marker TEXT\n"
    "       tide trace --collect PORT [-o DIR] [OPTIONS]",
    "Records every allocation call of PROG, and of every program that it starts, under whatever\n"
    "allocator they use. 'tide info DIR' shows what is in the trace.\n",
    "SIZE is bytes, or with K, M, G; TIME is seconds, or with ms, s, m, h.\n"
    "\n"
    "The trace is a folder with one for each process; each file in it is whole at any moment. When "
    "a\n"
    "file can't be written, or the connection is lost, the trace ends with a line that says so, "
    "and\n"
    "PROG goes on. The first Ctrl-C is PROG's; a second one ends the trace at once.\n"
    "\n"
    "--pid records a process that runs on Tide, from now on: its threads stand for a moment, at "
    "the\n"
    "beginning and at the end. The trace begins with the blocks that it has. The end is at --for,\n"
    "Ctrl-C or the end of the process, which runs on as it was. Children that it forks meanwhile "
    "are\n"
    "recorded, too; programs that it executes are not, and neither are mmap and its like.\n"
    "\n"
    "--to DB (clickhouse://USER@HOST:PORT/DB, or sqlite://FILE) records into a folder and sends "
    "it,\n"
    "while PROG runs and at its end, and removes it; a folder that could not be sent stays, for\n"
    "'tide fleet import', which sends what is missing.\n"
    "\n"
    "--collect and --to use the token in FILE or TIDE_TRACE_TOKEN, which is sent as it is, as the\n"
    "trace is: beyond your own network use an SSH tunnel.\n"
    "\n"
    "Exit status: the program's (128 + N: it was ended by signal N), or\n"
    "  1    PROG has succeeded, but nothing was recorded, or not all of it could be written\n"
    "  2    the command line is wrong\n"
    "  125  Tide itself failed\n"
    "  126  PROG is there but cannot be run\n"
    "  127  PROG was not found\n"};

[[noreturn]] void fail_usage(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide trace --help", message), host::kExitUsage);
}

// A number with one of the units behind it; the empty unit is among them.
double with_unit(std::string_view option, const std::string& text,
                 const std::map<std::string_view, double>& units) {
  double number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = units.find({end, static_cast<size_t>(text.data() + text.size() - end)});
  if (fault != std::errc() || unit == units.end() || !(number > 0) || number > 1e15) {
    fail_usage(fmt::format("{}: '{}' is no such value", option, text));
  }
  return number * unit->second;
}

uint64_t size_of(std::string_view option, const std::string& text) {
  constexpr double kKilo = 1024;
  return static_cast<uint64_t>(with_unit(
      option, text, {{"", 1}, {"K", kKilo}, {"M", kKilo * kKilo}, {"G", kKilo * kKilo * kKilo}}));
}

// Options whose text means something else than itself.
struct Texts {
  std::string stacks = "none";
  std::string when_full = "wait";
  std::string buffer, most, time, process;
  uint32_t port = 0;
  bool has_no_usable = false;
  bool has_no_system_calls = false;
};

void add_options(VerbParser& parser, TraceOptions& options, Texts& texts) {
  parser
      .add_option("-o,--output", options.folder,
                  "Folder for the trace; default tide-trace-PROG-PID")
      ->type_name("DIR");
  parser.add_option("--stacks", texts.stacks, "Record call stacks: by frame pointers, or unwound")
      ->type_name("none|fp|unwind")
      ->check(CLI::IsMember({"none", "fp", "unwind"}));
  parser.add_option("--depth", options.arena.stack_depth, "Frames of a stack, 16 by default")
      ->type_name("N")
      ->check(CLI::Range(1, 128));
  parser.add_option("--buffer", texts.buffer, "Memory for records on their way, 64M by default")
      ->type_name("SIZE");
  parser
      .add_option("--when-full", texts.when_full,
                  "What threads do when it is full: wait, or drop and count events")
      ->type_name("wait|drop")
      ->check(CLI::IsMember({"wait", "drop"}));
  parser.add_flag("--no-usable", texts.has_no_usable, "Don't ask the allocator for usable sizes");
  parser.add_flag("--no-system-calls", texts.has_no_system_calls,
                  "Leave out mmap, munmap, mremap, brk and madvise");
  parser.add_option("--with", options.allocator, "Run on that allocator, as 'tide replay' has it")
      ->type_name("NAME[=PATH]");
  parser.add_option("--preload", options.preloads, "Preload LIB behind the recorder (repeatable)")
      ->type_name("LIB")
      ->allow_extra_args(false);
  parser.add_option("--max-size", texts.most, "End the trace when it is so large")
      ->type_name("SIZE");
  parser.add_option("--for", texts.time, "End the trace after that time")->type_name("TIME");
  parser.add_option("--pid", texts.process, "Record a process that runs on Tide already")
      ->type_name("PID");
  parser.add_flag("--no-live", options.has_no_live,
                  "With --pid: leave out the blocks that are there already");
  parser.add_flag("--repair", options.repairs,
                  "With --pid: put right what a killed tide trace has left in the process");
  parser
      .add_option(
          "--to", options.to,
          "Send the trace to 'tide trace --collect' there, or to a database of 'tide fleet'")
      ->type_name("tcp://HOST:PORT|DB");
  parser.add_option("--token-file", options.token_file, "File with the token for that")
      ->type_name("FILE");
  parser
      .add_option("--password-file", options.password_file,
                  "File with the database's password, else TIDE_FLEET_PASSWORD")
      ->type_name("FILE");
  parser.add_flag("--plain", options.is_plain_allowed,
                  "Send to a database on another machine without TLS");
  parser
      .add_option("--library", options.library,
                  "The recorder, else libtide-trace.so of this command")
      ->type_name("PATH");
  parser.add_flag("-q,--quiet", options.is_quiet, "No progress, and nothing said at the end");
  parser.add_flag("--json", options.as_json, "Say at the end in JSON what was recorded");
  parser.add_option("--control", options.control, "Steer the recording into DIR")->type_name("DIR");
  parser.add_option("--collect", texts.port, "Receive traces at PORT; 0: any that is free")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535));
  parser.add_option("--bind", options.bind_to, "Address to receive at, 127.0.0.1 by default")
      ->type_name("ADDR");
}

void read_texts(const Texts& texts, TraceOptions& options) {
  using format::StackKind;
  options.arena.stacks = texts.stacks == "fp"       ? StackKind::kFramePointers
                         : texts.stacks == "unwind" ? StackKind::kUnwinder
                                                    : StackKind::kNone;
  options.arena.drops_when_full = texts.when_full == "drop";
  options.arena.has_usable_sizes = !texts.has_no_usable;
  options.arena.has_system_calls = !texts.has_no_system_calls;
  if (!texts.buffer.empty()) options.arena.bytes = size_of("--buffer", texts.buffer);
  if (!texts.most.empty()) options.most_bytes = size_of("--max-size", texts.most);
  if (!texts.process.empty()) options.process = parse_process_number("trace", texts.process);
  if (!texts.time.empty()) {
    options.seconds =
        with_unit("--for", texts.time, {{"", 1}, {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}});
  }
}

int run(const Arguments& arguments) {
  VerbParser parser(kTraceCommand, kHelp);
  TraceOptions options;
  Texts texts;
  add_options(parser, options, texts);
  const SplitArguments split = split_at_program(parser, arguments);
  if (!parser.accept(split.own)) return host::kExitOk;
  read_texts(texts, options);

  if (!options.control.empty()) {
    send_control(options.control, split.program);
    return host::kExitOk;
  }
  if (parser.count("--collect") != 0) {
    if (!split.program.empty()) fail_usage("--collect starts no program");
    options.port = static_cast<uint16_t>(texts.port);
    return collect_traces(options);
  }
  if (split.program.empty() == !options.process.has_value()) {
    fail_usage(split.program.empty() ? "no program given" : "--pid starts no program");
  }
  if (is_fleet_address(options.to)) return record_into_fleet(options, split.program);
  for (const char* const option : {"--password-file", "--plain"}) {
    if (parser.count(option) != 0) fail_usage(fmt::format("{} goes with --to DB", option));
  }
  if (!options.to.empty() && !options.folder.empty()) fail_usage("--to and -o exclude each other");
  if (!options.process.has_value()) {
    if (options.has_no_live || options.repairs) fail_usage("--no-live and --repair go with --pid");
    return record_program(options, split.program);
  }
  for (const char* const option : {"--with", "--preload", "--library"}) {
    if (parser.count(option) != 0) fail_usage(fmt::format("{} does not go with --pid", option));
  }
  return record_process(options);
}

}  // namespace

const Command kTraceCommand = {"trace", "Record every allocation call of a program", run};

}  // namespace tide::cli
