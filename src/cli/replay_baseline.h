// `tide replay --baseline FILE --fail-if CONDITION`: this result against an earlier one.
#pragma once

#include <string>
#include <vector>

#include "cli/replay_report.h"
#include "replay/baseline.h"

namespace tide::cli {

class Baseline {
 public:
  // Reads what `tide replay -o` wrote. Throws host::Error where it is no such file.
  Baseline(const std::string& path, const std::vector<std::string>& conditions);

  struct Outcome {
    std::string text;  // a line for each allocator and condition
    bool fails = false;
  };
  // Runs are compared with those of the same label; throws host::Error when there is none.
  Outcome compare(const replay::ReplayResult& result) const;

 private:
  std::string path_;
  std::vector<replay::Condition> conditions_;
  nlohmann::ordered_json json_;
};

}  // namespace tide::cli
