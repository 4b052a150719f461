// The library's options as the tools see them, made with the library's own table and parser
// (api/option_set.h): what `tide` says about a setting is what the library will do with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/option_set.h"

namespace tide::cli {

// What a program that is started from here would begin with.
struct LoadedOptions {
  api::OptionSet values;
  std::vector<std::string> warnings;  // the library's lines, without its "tide: "
};

LoadedOptions load_options();

std::string value_text(const api::OptionSet& values, api::OptionId id);
std::string default_text(const api::OptionRow& row);
std::string source_text(const api::OptionSet& values, api::OptionId id);

// What the option takes: "0..1GiB", "off, text, json"; empty for a text.
std::string range_text(const api::OptionRow& row);
std::vector<std::string> choices_of(const api::OptionRow& row);

// The environment variable that sets the option.
std::string option_variable(std::string_view name);

// The option of that name or of that variable, in any case of letters.
std::optional<api::OptionId> find_option(std::string_view name);

// "there is no option 'NAME'", with the nearest name and where the list is.
std::string unknown_option(std::string_view name);

// What is wrong with setting the option to that; nothing when the library takes it.
std::optional<std::string> option_fault(std::string_view name, std::string_view value);

}  // namespace tide::cli
