#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>

#include "host/error.h"

namespace tide::cli {
namespace {

// CLI11 prints the description first; people look for an example.
class ExampleFirst : public CLI::Formatter {
 public:
  explicit ExampleFirst(const HelpText& help) : help_(help) {}

  std::string make_help(const CLI::App* app, std::string /*name*/,
                        CLI::AppFormatMode mode) const override {
    std::string options = make_groups(app, mode);
    options.erase(options.find_last_not_of('\n') + 1);
    return fmt::format("Example:\n{}\nUsage: {}\n\n{}{}\n{}{}", help_.example, help_.usage,
                       help_.about, options, help_.notes.empty() ? "" : "\n", help_.notes);
  }

  std::string make_option_name(const CLI::Option* option, bool /*is_positional*/) const override {
    std::vector<std::string> names;
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    // Flags have no value, but for one whose optional value is glued to it and says so.
    const bool is_glued = type.starts_with('[');
    if (option->get_items_expected_max() == 0 && !is_glued) return {};
    return is_glued ? type : " " + type;
  }

 private:
  HelpText help_;
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + size_t{a[i - 1] != b[j - 1]};
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// Of digits, no more than any count needs.
bool is_count(std::string_view text) {
  constexpr size_t kMostDigits = 18;
  return !text.empty() && text.size() <= kMostDigits &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

VerbParser::VerbParser(const Command& command, const HelpText& help)
    : CLI::App("", "tide " + std::string(command.name)), verb_(command.name) {
  set_help_flag("-h,--help", "Show this help");
  formatter(std::make_shared<ExampleFirst>(help));
  get_formatter()->column_width(30);
}

bool VerbParser::accept(const Arguments& arguments) {
  const auto fail = [this](const std::string& what) {
    throw host::Error(fmt::format("{}; see: tide {} --help", what, verb_), host::kExitUsage);
  };
  try {
    Arguments reversed(arguments.rbegin(), arguments.rend());  // the order that CLI11 takes
    parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    print(help());
    return false;
  } catch (const CLI::ExtrasError&) {
    const Arguments extra = remaining();
    const std::string& first = extra.front();
    if (!first.starts_with('-')) fail(fmt::format("unexpected argument '{}'", first));
    std::vector<std::string> names;
    for (const CLI::Option* option : get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    fail(fmt::format("unknown option '{}'{}", first,
                     did_you_mean(first, {names.begin(), names.end()})));
  } catch (const CLI::ConversionError& error) {
    // "Could not convert: --reps = x".
    const std::string text = error.what();
    const size_t colon = text.find(": ");
    const size_t equals = text.find(" = ");
    if (colon == std::string::npos || equals == std::string::npos || equals < colon) fail(text);
    fail(fmt::format("{}: '{}' is no number that it can take",
                     text.substr(colon + 2, equals - colon - 2), text.substr(equals + 3)));
  } catch (const CLI::RequiredError& error) {
    // Without a group, as what is not among the options has none, its name is not in the text.
    for (const CLI::Option* option : get_options()) {
      if (option->get_required() && option->count() == 0) {
        fail(fmt::format("{} is required", option->get_single_name()));
      }
    }
    fail(error.what());
  } catch (const CLI::ParseError& error) {
    fail(error.what());
  }
  // The parser takes -1 for the largest number there is, and what is larger, too.
  for (const CLI::Option* option : get_options()) {
    if (option->get_type_name() != "N") continue;
    for (const std::string& value : option->results()) {
      if (!is_count(value)) {
        fail(fmt::format("{}: '{}' is no number that it can take", option->get_name(), value));
      }
    }
  }
  return true;
}

void add_top_option(CLI::App& parser, size_t& most, const std::string& what) {
  parser.add_option("--top", most, what)->type_name("N")->check([](const std::string& text) {
    const bool is_none = !text.empty() && text.find_first_not_of('0') == std::string::npos;
    return is_none ? fmt::format("'{}' rows say nothing", text) : std::string();
  });
}

SplitArguments split_at_program(const CLI::App& parser, const Arguments& arguments) {
  auto begin = arguments.begin();
  for (; begin != arguments.end(); ++begin) {
    if (*begin == "--") return {{arguments.begin(), begin}, {begin + 1, arguments.end()}};
    if (begin->size() < 2 || begin->front() != '-') break;
    // `--name=value` and `-nvalue` have their value in them; a flag has none.
    const CLI::Option* option = parser.get_option_no_throw(*begin);
    const bool takes_next = option != nullptr && option->get_items_expected_min() > 0;
    if (takes_next && begin + 1 != arguments.end()) ++begin;
  }
  return {{arguments.begin(), begin}, {begin, arguments.end()}};
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  // A third of the letters wrong is still a typing error; more is another word.
  size_t limit = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < limit) {
      best = candidate;
      limit = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const std::string_view best = nearest(word, candidates);
  return best.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", best);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw host::Error(fmt::format("cannot write the output: {}", std::strerror(errno)));
  }
}

}  // namespace tide::cli
