// `tide top`: the heaps of running processes, again and again. The processes are not stopped and
// nothing is done in them.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/process_number.h"
#include "cli/screen.h"
#include "cli/top_view.h"
#include "host/error.h"
#include "host/proc.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide top\n"
    "  tide top --once --json 4711\n",
    "tide top [OPTIONS] [PID...]",
    "Shows the heaps of processes that run on Tide: what is live, cached by threads, free and\n"
    "perhaps resident (DIRTY), given back or never touched (RETURNED), and the allocator's own\n"
    "records (META). Without PID: all processes on Tide that may be read. q or Ctrl-C ends it.\n",
    "The figures are those of tide_stats_get(), read from outside: processes go on meanwhile.\n"
    "Other users' processes need sudo. With --json each sample is an object on a line.\n"};

constexpr size_t kLinesAround = 3;  // titles and what may stand below the rows

int show_on_screen(TopSampler& sampler, double interval) {
  const Screen screen;
  for (;;) {
    const TopSample sample = sampler.take();
    if (sampler.is_over()) return host::kExitOk;
    const size_t height = Screen::height();
    screen.draw(top_table(sample, host::Terminal(STDOUT_FILENO),
                          height > kLinesAround ? height - kLinesAround : 1));
    if (wait_for_end(interval, true)) return host::kExitOk;
  }
}

int show_in_lines(TopSampler& sampler, double interval, bool once, bool as_json) {
  for (bool is_first = true;; is_first = false) {
    const TopSample sample = sampler.take();
    if (sampler.is_over()) return host::kExitOk;
    const host::Terminal terminal(STDOUT_FILENO);
    print(as_json ? top_json(sample)
                  : (is_first ? "" : "\n") + top_table(sample, terminal, SIZE_MAX));
    if (once || wait_for_end(interval, false)) return host::kExitOk;
  }
}

int run(const Arguments& arguments) {
  VerbParser parser(kTopCommand, kHelp);
  std::vector<std::string> names;
  std::string proc_folder = "/proc";
  double interval = 1;
  bool once = false;
  bool as_json = false;
  parser.add_option("PID", names)->group("");
  parser.add_option("--interval", interval, "Seconds between two samples, 1 by default")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0).description(""));
  parser.add_flag("--once", once, "Show one sample and end");
  parser.add_flag("--json", as_json, "Print JSON");
  parser.add_option("--proc", proc_folder)->group("");  // for tests
  if (!parser.accept(arguments)) return host::kExitOk;

  std::vector<int> pids;
  for (const std::string& name : names) pids.push_back(parse_process_number("top", name));
  const host::Proc proc(proc_folder);
  TopSampler sampler(proc, pids);
  catch_interrupts();
  const bool on_screen = !once && !as_json && Screen::is_possible();
  return on_screen ? show_on_screen(sampler, interval)
                   : show_in_lines(sampler, interval, once, as_json);
}

}  // namespace

const Command kTopCommand = {"top", "Show the heaps of running processes, live", run};

}  // namespace tide::cli
