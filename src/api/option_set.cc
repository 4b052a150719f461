#include "api/option_set.h"

#include <cstring>

namespace tide::api {

namespace {

// Every process compares its environment with these: not with literals, which lie where few
// processes look (cmake/TideOrder.cmake).
constexpr char kPrefixText[] = "TIDE_";
constexpr char kListVariableText[] = "TIDE_OPTIONS";
constexpr std::string_view kPrefix = kPrefixText;
constexpr std::string_view kListVariable = kListVariableText;

// Variables that begin like ours and belong to something else.
constexpr std::string_view kNotOptions[] = {
#define TIDE_OPTION(...)
#define TIDE_NOT_AN_OPTION(variable, reader) variable,
#include "api/options.def"
#undef TIDE_NOT_AN_OPTION
#undef TIDE_OPTION
};

constexpr size_t count_text_rows() {
  size_t count = 0;
  for (const OptionRow& row : kOptionRows) count += row.type == OptionType::kText ? 1 : 0;
  return count;
}
static_assert(count_text_rows() == OptionSet::kTexts);

constexpr bool defaults_are_in_range() {
  for (const OptionRow& row : kOptionRows) {
    if (row.initial < row.minimum || row.initial > row.maximum) return false;
  }
  return true;
}
static_assert(defaults_are_in_range());

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Text from the environment inside a line of ours: cut, and no control characters.
void quote(std::string_view text, base::TextWriter& out) {
  constexpr size_t kMostBytes = 80;
  out.put('\'');
  for (size_t i = 0; i < text.size() && i < kMostBytes; ++i) {
    const char c = text[i];
    out.put(c >= ' ' && c != '\x7f' ? c : '?');
  }
  out.text(text.size() > kMostBytes ? "...'" : "'");
}

std::string_view expected_form(OptionType type) {
  switch (type) {
    case OptionType::kBoolean:
      return "on or off";
    case OptionType::kInteger:
      return "a number";
    case OptionType::kBytes:
      return "a size such as 65536, 64k or 1GiB";
    case OptionType::kLimit:
      return "a size such as 512m or 2GiB, or auto";
    case OptionType::kDuration:
      return "a duration such as 250ms or 2s";
    case OptionType::kChoice:
      return "one of ";
    case OptionType::kText:
      return "a shorter text";
  }
  return "";
}

// Splits NAME=VALUE; false when there is no '='.
bool split_at_equals(std::string_view item, std::string_view& name, std::string_view& value) {
  const size_t equals = item.find('=');
  if (equals == std::string_view::npos) {
    name = item;
    value = {};
    return false;
  }
  name = std::string_view(item.data(), equals);
  value = std::string_view(item.data() + equals + 1, item.size() - equals - 1);
  return true;
}

bool is_not_an_option(std::string_view variable) {
  for (const std::string_view name : kNotOptions) {
    if (variable == name) return true;
  }
  return false;
}

}  // namespace

size_t find_option(std::string_view name) {
  size_t i = 0;
  while (i < kOptionCount && !equal_ignoring_case(kOptionRows[i].name, name)) ++i;
  return i;
}

OptionFault check_value(const OptionRow& row, std::string_view value, uint64_t& number) {
  uint64_t parsed = 0;
  bool understood = false;
  switch (row.type) {
    case OptionType::kBoolean:
      understood = parse_boolean(value, parsed);
      break;
    case OptionType::kInteger:
      understood = parse_integer(value, parsed);
      break;
    case OptionType::kBytes:
      understood = parse_bytes(value, parsed);
      break;
    case OptionType::kLimit:
      understood = parse_limit(value, parsed);
      break;
    case OptionType::kDuration:
      understood = parse_duration(value, parsed);
      break;
    case OptionType::kChoice:
      understood = parse_choice(value, row.unit, parsed);
      break;
    case OptionType::kText:
      understood = value.size() <= row.maximum;
      break;
  }
  if (!understood) return OptionFault::kIllFormed;
  const bool has_no_range =
      row.type == OptionType::kText || (row.type == OptionType::kLimit && parsed == kAuto);
  if (!has_no_range && (parsed < row.minimum || parsed > row.maximum)) {
    return OptionFault::kOutOfRange;
  }
  number = parsed;
  return OptionFault::kNone;
}

void format_variable(std::string_view option_name, base::TextWriter& out) {
  out.text(kPrefix);
  for (const char c : option_name) out.put(to_upper(c));
}

OptionFault OptionSet::assign(size_t i, std::string_view value, OptionSource source) {
  const OptionRow& row = kOptionRows[i];
  uint64_t number = 0;
  const OptionFault fault = check_value(row, value, number);
  if (fault != OptionFault::kNone) return fault;
  if (row.type == OptionType::kText) {
    if (value.size() >= kTextBytes) return OptionFault::kIllFormed;
    char* const text = texts_[text_index(static_cast<OptionId>(i))];
    memcpy(text, value.data(), value.size());
    text[value.size()] = '\0';
  }
  base::racy_store(numbers_[i], number);
  base::racy_store(sources_[i], source);
  return OptionFault::kNone;
}

OptionFault OptionSet::set(std::string_view name, std::string_view value) {
  const size_t i = find_option(name);
  if (i == kOptionCount) return OptionFault::kUnknown;
  if (kOptionRows[i].change == OptionChange::kAtStart) return OptionFault::kFixed;
  return assign(i, value, OptionSource::kProgram);
}

void OptionSet::report_fault(OptionFault fault, std::string_view name, std::string_view value,
                             const Report& report) const {
  if (fault == OptionFault::kNone || report.warn == nullptr) return;
  base::TextBuffer<480> line;
  base::TextBuffer<96> lower_name;
  for (const char c : name) lower_name.put(to_lower(c));
  line.text("option ");
  quote(lower_name.view(), line);
  if (fault == OptionFault::kUnknown) {
    line.text(" is unknown; run 'tide env' for the list");
    return report.warn(report.argument, line.view());
  }
  const size_t i = find_option(name);
  const OptionRow& row = kOptionRows[i];
  line.text(" can't be ");
  quote(value, line);
  if (fault == OptionFault::kOutOfRange) {
    line.text(", which is outside ");
    format_value(row.type, row.unit, row.minimum, line);
    line.text(" to ");
    format_value(row.type, row.unit, row.maximum, line);
  } else {
    line.text(", which is not ").text(expected_form(row.type));
    if (row.type == OptionType::kChoice) line.text(row.unit);
  }
  line.text("; it stays ");
  base::TextBuffer<64> current;
  format(static_cast<OptionId>(i), current);
  line.text(current.length() == 0 ? "empty" : current.view());
  report.warn(report.argument, line.view());
}

void OptionSet::load_list(std::string_view list, const Report& report) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const size_t length = comma == std::string_view::npos ? list.size() : comma;
    const std::string_view item = trimmed(std::string_view(list.data(), length));
    list.remove_prefix(comma == std::string_view::npos ? length : length + 1);
    if (item.empty()) continue;
    std::string_view name;
    std::string_view value;
    const bool has_value = split_at_equals(item, name, value);
    name = trimmed(name);
    value = trimmed(value);
    const size_t i = find_option(name);
    OptionFault fault = OptionFault::kUnknown;
    if (i != kOptionCount) {
      fault = has_value ? assign(i, value, OptionSource::kList) : OptionFault::kIllFormed;
    }
    report_fault(fault, name, value, report);
  }
}

void OptionSet::load_variable(std::string_view name, std::string_view value, const Report& report) {
  const size_t i = find_option(name);
  if (i != kOptionCount && sources_[i] == OptionSource::kVariable) return;
  const OptionFault fault =
      i == kOptionCount ? OptionFault::kUnknown : assign(i, value, OptionSource::kVariable);
  report_fault(fault, name, value, report);
}

void OptionSet::load_quietly_or_not(const char* const* environment, const Report& report) {
  bool list_seen = false;
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    std::string_view name;
    std::string_view value;
    if (!split_at_equals(*entry, name, value) || name != kListVariable || list_seen) continue;
    list_seen = true;
    load_list(value, report);
  }
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    std::string_view name;
    std::string_view value;
    if (strncmp(*entry, kPrefix.data(), kPrefix.size()) != 0) continue;
    if (!split_at_equals(*entry, name, value) || is_not_an_option(name)) continue;
    name.remove_prefix(kPrefix.size());
    load_variable(name, value, report);
  }
}

void OptionSet::load(const char* const* environment, Warn warn, void* argument) {
  if (environment == nullptr) return;
  // Twice: whether to warn is an option itself and may come last.
  load_quietly_or_not(environment, {nullptr, nullptr});
  if (warn != nullptr && is_on(OptionId::warnings)) {
    load_quietly_or_not(environment, {warn, argument});
  }
}

void OptionSet::format(OptionId id, base::TextWriter& out) const {
  const OptionRow& row = kOptionRows[index(id)];
  if (row.type == OptionType::kText) {
    out.text(text(id));
    return;
  }
  format_value(row.type, row.unit, number(id), out);
}

void OptionSet::format_source(OptionId id, base::TextWriter& out) const {
  switch (source(id)) {
    case OptionSource::kDefault:
      out.text("default");
      return;
    case OptionSource::kList:
      out.text(kListVariable);
      return;
    case OptionSource::kVariable:
      return format_variable(kOptionRows[index(id)].name, out);
    case OptionSource::kProgram:
      out.text("program");
      return;
  }
}

}  // namespace tide::api
