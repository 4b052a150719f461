// `tide doctor`: where the RSS of a process is, and what to do about it.

#include <unistd.h>

#include <string>

#include "cli/command.h"
#include "cli/doctor_view.h"
#include "cli/process_number.h"
#include "host/error.h"
#include "host/proc.h"
#include "host/terminal.h"
#include "walk/process_picture.h"
#include "walk/rss_parts.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide doctor 4711\n"
    "  tide doctor --json $(pidof redis-server)\n",
    "tide doctor [OPTIONS] PID",
    "Says where the RSS of a process is: live blocks, free memory and the size classes that hold\n"
    "it, the allocator's records; and what is no allocator's: stacks, program, files, shared\n"
    "memory. Ends with advice.\n",
    "On Tide the figures are the heap's own. Of other allocators it says what /proc tells. The\n"
    "process is not stopped. Other users' processes need sudo.\n"};

int run(const Arguments& arguments) {
  VerbParser parser(kDoctorCommand, kHelp);
  std::string number;
  std::string proc_folder = "/proc";
  bool as_json = false;
  parser.add_option("PID", number)->group("");
  parser.add_flag("--json", as_json, "Print JSON");
  parser.add_option("--proc", proc_folder)->group("");  // for tests
  if (!parser.accept(arguments)) return host::kExitOk;
  if (number.empty()) {
    throw host::Error("no process given; see: tide doctor --help", host::kExitUsage);
  }
  const host::Proc proc(proc_folder);
  const walk::ProcessPicture picture =
      walk::take_picture(proc, parse_process_number("doctor", number));
  const walk::RssParts parts = walk::find_parts(picture);
  print(as_json ? doctor_json(picture, parts)
                : doctor_text(picture, parts, host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const Command kDoctorCommand = {"doctor", "Say where the RSS of a process is, and what to do", run};

}  // namespace tide::cli
