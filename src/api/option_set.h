// The options as a table, and one set of values for them with where each came from.
//
// A set is filled from an environment and changed by the program; what is unknown or ill-formed is
// reported in one line and changes nothing. No allocation, no OS: the library has one set for the
// process (options.h), tests and the tide command make their own.
// Numbers may be read while another thread sets them. Loading happens before anybody reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/option_value.h"
#include "base/racy.h"
#include "base/text.h"

namespace tide::api {

enum class OptionChange : uint8_t {
  kAtStart,
  kAnytime,
};

struct OptionRow {
  std::string_view name;
  OptionType type;
  uint64_t initial;
  uint64_t minimum;
  uint64_t maximum;
  std::string_view unit;
  OptionChange change;
  std::string_view help;
};

// One enumerator per row, under the row's name.
// NOLINTBEGIN(readability-identifier-naming): the names are those that users write
enum class OptionId : uint8_t {
#define TIDE_OPTION(name, ...) name,
#define TIDE_NOT_AN_OPTION(variable, reader)
#include "api/options.def"
#undef TIDE_NOT_AN_OPTION
#undef TIDE_OPTION
};
// NOLINTEND(readability-identifier-naming)

inline constexpr OptionRow kOptionRows[] = {
#define TIDE_OPTION(name, type, initial, minimum, maximum, unit, change, help) \
  {#name, OptionType::type, initial, minimum, maximum, unit, OptionChange::change, help},
#define TIDE_NOT_AN_OPTION(variable, reader)
#include "api/options.def"
#undef TIDE_NOT_AN_OPTION
#undef TIDE_OPTION
};

inline constexpr size_t kOptionCount = sizeof kOptionRows / sizeof kOptionRows[0];

enum class OptionSource : uint8_t {
  kDefault,
  kList,      // TIDE_OPTIONS
  kVariable,  // TIDE_<NAME>
  kProgram,   // tide_option_set()
};

enum class OptionFault : uint8_t {
  kNone,
  kUnknown,
  kIllFormed,
  kOutOfRange,
  kFixed,
};

class OptionSet {
 public:
  // Receives one line, without "tide: " and newline.
  using Warn = void (*)(void* argument, std::string_view line);

  // How many rows are of kText.
  static constexpr size_t kTexts = 2;

  constexpr OptionSet() {
    for (size_t i = 0; i < kOptionCount; ++i) numbers_[i] = kOptionRows[i].initial;
  }

  // Takes over what the variables TIDE_* say; `environment` is like environ and may be null. A
  // variable of its own counts more than TIDE_OPTIONS; of two equal variables the first counts.
  // `warn` is called once per bad option, or never when the option `warnings` is off.
  void load(const char* const* environment, Warn warn, void* argument);

  // Sets from the program, after the start: kFixed for a row that is kAtStart.
  OptionFault set(std::string_view name, std::string_view value);

  uint64_t number(OptionId id) const { return base::racy_load(numbers_[index(id)]); }
  bool is_on(OptionId id) const { return number(id) != 0; }
  // The value of a kText row.
  const char* text(OptionId id = OptionId::stats_file) const { return texts_[text_index(id)]; }
  OptionSource source(OptionId id) const { return base::racy_load(sources_[index(id)]); }

  // In the form that the parser reads.
  void format(OptionId id, base::TextWriter& out) const;
  // "default", "TIDE_OPTIONS", "TIDE_THREAD_CACHE" or "program".
  void format_source(OptionId id, base::TextWriter& out) const;

 private:
  struct Report {
    Warn warn;  // null: be quiet
    void* argument;
  };

  static constexpr size_t index(OptionId id) { return static_cast<size_t>(id); }
  OptionFault assign(size_t i, std::string_view value, OptionSource source);
  void load_list(std::string_view list, const Report& report);
  void load_variable(std::string_view name, std::string_view value, const Report& report);
  void load_quietly_or_not(const char* const* environment, const Report& report);
  void report_fault(OptionFault fault, std::string_view name, std::string_view value,
                    const Report& report) const;

  static constexpr size_t kTextBytes = 1024;
  static constexpr size_t text_index(OptionId id) { return id == OptionId::stats_file ? 0 : 1; }

  uint64_t numbers_[kOptionCount] = {};
  OptionSource sources_[kOptionCount] = {};
  char texts_[kTexts][kTextBytes] = {};
};

// The row of that name, in any case of letters; kOptionCount when there is none.
size_t find_option(std::string_view name);

// What `value` would be in the row; the value is not stored anywhere.
OptionFault check_value(const OptionRow& row, std::string_view value, uint64_t& number);

// "TIDE_" and the name in capitals.
void format_variable(std::string_view option_name, base::TextWriter& out);

}  // namespace tide::api
