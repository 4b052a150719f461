// `tide convert`: a trace as a workload, or in the form of other tools.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cli/command.h"
#include "cli/text_charts.h"
#include "cli/trace_input.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/progress.h"
#include "host/terminal.h"
#include "trace/anonymous.h"
#include "trace/export_csv.h"
#include "trace/export_ctf.h"
#include "trace/export_folded.h"
#include "trace/export_pprof.h"
#include "trace/workload_writer.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide convert out.trace -o job.tidew\n"
    "  tide convert out.trace -o job.folded --value peak\n"
    "  tide convert --anonymize --slice 5s..10s out.trace -o part.tidew\n",
    "tide convert [OPTIONS] IN -o OUT",
    "Turns a trace into a workload that tide replay does again (.tidew), or into what other tools\n"
    "read: a CTF 1.8 folder (babeltrace2, Trace Compass), a pprof profile (.pb.gz), folded call\n"
    "stacks for flame graphs (.folded), a table with a row for each event (.csv).\n",
    "IN is what tide trace wrote, or a file of another tracer: the 64-byte records of glibc's "
    "malloc\n"
    "tracing, heaptrack's files, CTF of LTTng's libc wrapper. Formats: mtrace, heaptrack, ctf.\n"};

using trace::Exporter;
using trace::StackValue;

constexpr std::pair<std::string_view, StackValue> kValues[] = {
    {"allocated", StackValue::kAllocated}, {"live", StackValue::kLive},
    {"peak", StackValue::kPeak},           {"temporary", StackValue::kTemporary},
    {"calls", StackValue::kCalls},
};
constexpr std::pair<std::string_view, std::string_view> kSuffixes[] = {
    {".tidew", "workload"}, {".pb.gz", "pprof"}, {".folded", "folded"}, {".csv", "csv"}};

std::string format_of(const std::string& path) {
  for (const auto& [suffix, format] : kSuffixes) {
    if (path.ends_with(suffix)) return std::string(format);
  }
  return "workload";
}

StackValue value_of(const std::string& name) {
  for (const auto& [known, value] : kValues) {
    if (name == known) return value;
  }
  throw host::Error(fmt::format("--value is allocated, live, peak, temporary or calls, not '{}'; "
                                "see: tide convert --help",
                                name),
                    host::kExitUsage);
}

std::unique_ptr<Exporter> make_exporter(const std::string& format, const std::string& path,
                                        StackValue value) {
  if (format == "workload") return std::make_unique<trace::WorkloadWriter>(path);
  if (format == "ctf") return std::make_unique<trace::CtfExporter>(path);
  if (format == "pprof") return std::make_unique<trace::PprofExporter>(path);
  if (format == "folded") return std::make_unique<trace::FoldedExporter>(path, value);
  if (format == "csv") return std::make_unique<trace::CsvExporter>(path);
  throw host::Error(fmt::format("--to is workload, ctf, pprof, folded or csv, not '{}'; see: tide "
                                "convert --help",
                                format),
                    host::kExitUsage);
}

// "out.tidew" for the first process; with several each has its number: "out.2.tidew".
std::string path_for(const std::string& path, uint32_t number, size_t processes) {
  if (processes == 1) return path;
  for (const auto& [suffix, format] : kSuffixes) {
    if (!path.ends_with(suffix)) continue;
    return fmt::format("{}.{}{}", path.substr(0, path.size() - suffix.size()), number, suffix);
  }
  return fmt::format("{}.{}", path, number);
}

void warn(const trace::EventSource& source, const std::string& path) {
  const trace::Oddities odd = source.oddities();
  const auto say = [&](uint64_t count, std::string_view what) {
    if (count != 0) fmt::print(stderr, "tide convert: {}: {} {}\n", path, grouped(count), what);
  };
  say(source.process().lost_events, "events were lost when it was recorded");
  say(odd.damaged_chunks, "damaged pieces of the trace were left out");
  say(odd.unknown_releases, "releases of blocks from before the recording");
  say(odd.missed_releases, "blocks whose address was given out again without a release");
}

// Which file is whose: only the number is in its name.
void announce(const trace::ProcessIdentity& process, const std::string& path) {
  fmt::print(stderr, "tide convert: {}: process {}{}\n", path, process.pid,
             process.program.empty() ? "" : ", " + process.program);
}

int run(const Arguments& arguments) {
  VerbParser parser(kConvertCommand, kHelp);
  std::string in;
  std::string out;
  std::string format;
  std::string value = "allocated";
  std::string slice;
  bool anonymize = false;
  TraceInput::Options options;
  parser.add_option("IN", in)->group("");
  parser.add_option("-o,--output", out, "The file, or for CTF the folder, to write")
      ->type_name("OUT");
  parser.add_option("--to", format, "workload, ctf, pprof, folded or csv; else by OUT's name")
      ->type_name("FORMAT");
  parser.add_option("--from", options.format, "IN's format, where its content does not tell")
      ->type_name("FORMAT");
  parser.add_option("--process", options.process, "Only this process, by its number or its pid")
      ->type_name("N");
  parser.add_option("--slice", slice, "Only this time since the start: 5s..10s, 250ms..")
      ->type_name("T0..T1");
  parser.add_option("--value", value, "folded: allocated, live, peak, temporary or calls")
      ->type_name("WHAT");
  parser.add_flag("--anonymize", anonymize, "Replace addresses, names and texts, by a random key");
  parser.add_flag("--salvage", options.salvage, "Leave out what is damaged, and say so");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (in.empty() || out.empty()) {
    throw host::Error("IN and -o OUT are needed; see: tide convert --help", host::kExitUsage);
  }
  if (format.empty()) format = format_of(out);
  const StackValue stack_value = value_of(value);
  if (!slice.empty()) options.slice = trace::parse_time_range(slice);

  const TraceInput input(in, options);
  for (size_t i = 0; i < input.processes(); ++i) {
    std::unique_ptr<trace::EventSource> source = input.open(i);
    const std::string path = path_for(out, source->process().number, input.processes());
    if (anonymize) source = std::make_unique<trace::Anonymous>(std::move(source));
    const std::unique_ptr<Exporter> exporter = make_exporter(format, path, stack_value);
    host::Progress progress{host::Terminal(STDERR_FILENO)};
    progress.begin_share("converting");
    uint64_t events = 0;
    while (const trace::Event* event = source->next()) {
      exporter->add(*event);
      if ((++events & 0xfffff) == 0) progress.reach(source->progress());
    }
    exporter->finish(*source);
    if (input.processes() > 1) announce(source->process(), path);
    warn(*source, path);
  }
  return host::kExitOk;
}

}  // namespace

const Command kConvertCommand = {"convert", "Turn a trace into a workload or another format", run};

}  // namespace tide::cli
