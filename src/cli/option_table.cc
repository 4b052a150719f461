#include "cli/option_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/command.h"

namespace tide::cli {
namespace {

using api::OptionId;
using api::OptionRow;
using api::OptionType;

// Longer than any option's text.
using Text = base::TextBuffer<2048>;

std::string format(const OptionRow& row, uint64_t value) {
  Text text;
  api::format_value(row.type, row.unit, value, text);
  return std::string(text.view());
}

}  // namespace

LoadedOptions load_options() {
  LoadedOptions loaded;
  const auto warn = [](void* argument, std::string_view line) {
    static_cast<LoadedOptions*>(argument)->warnings.emplace_back(line);
  };
  loaded.values.load(environ, warn, &loaded);
  return loaded;
}

std::string value_text(const api::OptionSet& values, OptionId id) {
  Text text;
  values.format(id, text);
  return std::string(text.view());
}

std::string default_text(const OptionRow& row) { return format(row, row.initial); }

std::string source_text(const api::OptionSet& values, OptionId id) {
  Text text;
  values.format_source(id, text);
  return std::string(text.view());
}

std::vector<std::string> choices_of(const OptionRow& row) {
  std::vector<std::string> choices;
  const bool has_words = row.type == OptionType::kBoolean || row.type == OptionType::kChoice;
  for (uint64_t i = row.minimum; has_words && i <= row.maximum; ++i) {
    choices.push_back(format(row, i));
  }
  return choices;
}

std::string range_text(const OptionRow& row) {
  if (row.type == OptionType::kText) return {};
  const std::vector<std::string> choices = choices_of(row);
  if (!choices.empty()) return fmt::format("{}", fmt::join(choices, ", "));
  return fmt::format("{}..{}{}", format(row, row.minimum), format(row, row.maximum),
                     row.type == OptionType::kLimit ? ", auto" : "");
}

std::string option_variable(std::string_view name) {
  Text text;
  api::format_variable(name, text);
  return std::string(text.view());
}

std::optional<OptionId> find_option(std::string_view name) {
  constexpr std::string_view kPrefix = "TIDE_";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  const size_t index = api::find_option(name);
  if (index == api::kOptionCount) return std::nullopt;
  return static_cast<OptionId>(index);
}

std::string unknown_option(std::string_view name) {
  std::vector<std::string_view> names;
  for (const OptionRow& row : api::kOptionRows) names.push_back(row.name);
  return fmt::format("there is no option '{}'{}; 'tide env' lists all of them", name,
                     did_you_mean(name, names));
}

std::optional<std::string> option_fault(std::string_view name, std::string_view value) {
  const size_t index = api::find_option(name);
  if (index == api::kOptionCount) return unknown_option(name);
  const OptionRow& row = api::kOptionRows[index];
  uint64_t number = 0;
  if (api::check_value(row, value, number) == api::OptionFault::kNone) return std::nullopt;
  if (row.type == OptionType::kText) {
    return fmt::format("'{}' takes at most {} bytes of text", name, row.maximum);
  }
  std::string_view type = choices_of(row).empty() ? api::type_name(row.type) : "one of";
  if (row.type == OptionType::kLimit) type = "bytes";  // the range names the word
  return fmt::format("'{}' can't be '{}'; it takes {} {}", name, value, type, range_text(row));
}

}  // namespace tide::cli
