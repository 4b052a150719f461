// The options of a database, which all verbs that use one have.
#pragma once

#include <memory>
#include <string>

#include "cli/command.h"
#include "fleet/store.h"

namespace tide::cli {

class FleetOptions {
 public:
  // `usual`: what is said of doing without the option.
  void add_to(CLI::App& parser, const std::string& usual = "fleet.db by default");
  // Throws host::Error, kExitUsage.
  fleet::DatabaseAddress address() const;

 private:
  std::string database_ = "fleet.db";
  std::string password_file_;
  bool is_plain_allowed_ = false;
};

// A duration such as 30s, 15m, 12h, 30d, 2w, in nanoseconds. Throws host::Error, kExitUsage.
uint64_t parse_duration(const std::string& option, const std::string& text);
// A number of bytes such as 64M. Throws host::Error, kExitUsage.
uint64_t parse_size(const std::string& option, const std::string& text);

}  // namespace tide::cli
