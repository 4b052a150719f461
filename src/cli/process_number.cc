#include "cli/process_number.h"

#include <fmt/format.h>

#include <charconv>

#include "host/error.h"

namespace tide::cli {

int parse_process_number(std::string_view verb, const std::string& text) {
  int number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number <= 0) {
    throw host::Error(fmt::format("'{}' is no process number; see: tide {} --help", text, verb),
                      host::kExitUsage);
  }
  return number;
}

std::string not_on_tide(int pid, std::string_view command) {
  return fmt::format("process {} ({}) does not run on Tide; start it with: tide run -- PROG", pid,
                     command);
}

}  // namespace tide::cli
