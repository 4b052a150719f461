// Where the figures come from: inputs, machines, versions, command lines.
#pragma once

#include <string>
#include <vector>

#include "report/parts.h"
#include "report/replay_file.h"

namespace tide::report {

struct Origin {
  std::string kind;
  std::string path;
  std::string command;  // what made it; empty: not known
  std::string machine;
  std::string version;
  std::string date;
};

Origin origin_of(const std::string& path, const ReplayFile& file);

// `command`: that made the page.
Section origin_section(const std::vector<Origin>& origins, const std::string& command);

}  // namespace tide::report
