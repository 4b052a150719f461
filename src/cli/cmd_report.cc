// `tide report`: a page with plots of traces, replays and more.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/report_inputs.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/progress.h"
#include "host/terminal.h"
#include "report/page.h"
#include "report/svg.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide report out.trace -o report.html\n"
    "  tide report replay.json out.trace -o report.html --svg plots\n"
    "  tide report before.trace after.trace -o difference.html\n"
    "  tide report heap-*.pb.gz -o course.html\n",
    "tide report [OPTIONS] INPUT... -o FILE",
    "Makes one page of HTML, readable offline in any browser, from any number of inputs: memory "
    "over\n"
    "time, latencies, sizes, lifetimes, flame graphs, allocators side by side, and at the top the\n"
    "answer in plain sentences. Two inputs of one kind are compared as well, and several profiles\n"
    "become one course over time, by call stack.\n",
    "INPUT is a trace (of tide trace, or a file that tide convert imports), the JSON of tide "
    "replay,\n"
    "a workload (.tidew), a profile (pprof's .pb.gz), or a core; each is told by its content.\n"};

std::string joined(const Arguments& arguments) {
  std::string text = "tide report";
  for (const std::string& argument : arguments) {
    const bool is_plain = argument.find_first_of(" \t'\"\\$&|;<>()*?") == std::string::npos;
    text += ' ' + (is_plain && !argument.empty() ? argument : "'" + argument + "'");
  }
  return text;
}

int run(const Arguments& arguments) {
  VerbParser parser(kReportCommand, kHelp);
  std::vector<std::string> paths;
  std::string out;
  std::string svg_folder;
  std::string title;
  TraceInput::Options options;
  parser.add_option("INPUT", paths)->group("");
  parser.add_option("-o,--output", out, "The page to write")->type_name("FILE");
  parser.add_option("--svg", svg_folder, "Write the plots as SVG files, too")->type_name("DIR");
  parser.add_option("--title", title, "What stands at the top of the page")->type_name("TEXT");
  parser.add_flag("--salvage", options.salvage, "Leave out what is damaged in traces, and say so");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (paths.empty()) {
    throw host::Error("no input given; see: tide report --help", host::kExitUsage);
  }
  if (out.empty() && svg_folder.empty()) {
    throw host::Error("-o FILE is needed; see: tide report --help", host::kExitUsage);
  }

  if (!out.empty()) host::require_writable(out);
  for (const std::string& path : paths) {
    std::error_code error;
    if (!out.empty() && std::filesystem::equivalent(path, out, error)) {
      throw host::Error(fmt::format("-o: '{}' is one of the inputs", out), host::kExitUsage);
    }
  }

  host::Progress progress{host::Terminal(STDERR_FILENO)};
  const ReportContents contents = read_report_inputs(paths, options, joined(arguments), progress);
  const report::Head head = {title.empty() ? contents.title : title, contents.about,
                             "Made by tide report " TIDE_VERSION
                             ". Plots: Apache ECharts 6.1.0 (Apache License 2.0). This page loads "
                             "nothing from elsewhere."};
  const std::string data = report::page_data(head, contents.sections);
  if (!out.empty()) {
    const std::string html = report::page_html(head, data);
    host::OutputFile file(out);
    file.write(html);
    file.close();
  }
  if (!svg_folder.empty()) {
    progress.begin_share("drawing");
    report::write_svgs(data, svg_folder, [&](double share) { progress.reach(share); });
  }
  return host::kExitOk;
}

}  // namespace

const Command kReportCommand = {"report", "Make a page with plots of traces, replays and more",
                                run};

}  // namespace tide::cli
