// Any text as the option environment: the parser stays within its buffers, keeps every number in
// its row's range, and reads back what it prints.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/option_set.h"
#include "base/text.h"

namespace {

using tide::api::OptionFault;
using tide::api::OptionId;
using tide::api::OptionRow;
using tide::api::OptionSet;

void require(bool condition) {
  if (!condition) abort();
}

void check_values(const OptionSet& options) {
  for (size_t i = 0; i < tide::api::kOptionCount; ++i) {
    const OptionRow& row = tide::api::kOptionRows[i];
    const auto id = static_cast<OptionId>(i);
    if (row.type == tide::api::OptionType::kText) continue;
    const bool is_auto =
        row.type == tide::api::OptionType::kLimit && options.number(id) == tide::api::kAuto;
    require(is_auto || (options.number(id) >= row.minimum && options.number(id) <= row.maximum));

    char buffer[256];
    tide::base::TextWriter out(buffer, sizeof buffer);
    options.format(id, out);
    uint64_t again = 0;
    require(tide::api::check_value(row, out.view(), again) == OptionFault::kNone);
    require(again == options.number(id));
  }
}

void count_line(void* lines, std::string_view line) {
  ++*static_cast<size_t*>(lines);
  require(line.find('\n') == std::string_view::npos);
}

}  // namespace

// The input is an environment: one variable a line.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> variables(1);
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == '\n') {
      variables.emplace_back();
    } else if (data[i] != 0) {
      variables.back().push_back(static_cast<char>(data[i]));
    }
  }
  std::vector<const char*> environment;
  for (const std::string& variable : variables) environment.push_back(variable.c_str());
  environment.push_back(nullptr);

  OptionSet options;
  size_t lines = 0;
  options.load(environment.data(), count_line, &lines);
  check_values(options);

  for (const std::string& variable : variables) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    options.set(std::string_view(variable).substr(0, equals),
                std::string_view(variable).substr(equals + 1));
  }
  check_values(options);
  return 0;
}
