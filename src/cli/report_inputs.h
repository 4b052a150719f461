// What `tide report` reads: inputs of any kind, told by their contents, as sections of its page.
#pragma once

#include <string>
#include <vector>

#include "cli/trace_input.h"
#include "host/progress.h"
#include "report/parts.h"

namespace tide::cli {

struct ReportContents {
  std::string title;
  std::string about;
  std::vector<report::Section> sections;
};

// `command`: the whole command line, for the page. Throws host::Error.
ReportContents read_report_inputs(const std::vector<std::string>& paths,
                                  const TraceInput::Options& options, const std::string& command,
                                  host::Progress& progress);

}  // namespace tide::cli
