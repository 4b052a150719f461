#include "api/option_value.h"

namespace tide::api {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// The form that format_value() prints comes first among those of one factor, greatest factor first.
constexpr Unit kByteUnits[] = {
    {"TiB", kTiB}, {"t", kTiB},   {"tb", kTiB}, {"GiB", kGiB}, {"g", kGiB},
    {"gb", kGiB},  {"MiB", kMiB}, {"m", kMiB},  {"mb", kMiB},  {"KiB", kKiB},
    {"k", kKiB},   {"kb", kKiB},  {"", 1},      {"b", 1},
};
constexpr Unit kDurationUnits[] = {
    {"s", kSecond}, {"ms", kMillisecond}, {"", kMillisecond}, {"us", 1000}, {"ns", 1},
};

constexpr std::string_view kAutoWord = "auto";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the decimal number off the front of `text`. False: none there, or too large.
bool take_number(std::string_view& text, uint64_t& value) {
  if (text.empty() || !is_digit(text.front())) return false;
  uint64_t sum = 0;
  while (!text.empty() && is_digit(text.front())) {
    const auto digit = static_cast<uint64_t>(text.front() - '0');
    if (__builtin_mul_overflow(sum, uint64_t{10}, &sum) ||
        __builtin_add_overflow(sum, digit, &sum)) {
      return false;
    }
    text.remove_prefix(1);
  }
  value = sum;
  return true;
}

template <size_t kCount>
bool parse_with_unit(std::string_view text, const Unit (&units)[kCount], uint64_t& value) {
  uint64_t number = 0;
  if (!take_number(text, number)) return false;
  while (text.size() > 1 && text.front() == ' ') text.remove_prefix(1);
  for (const Unit& unit : units) {
    if (!equal_ignoring_case(text, unit.name)) continue;
    uint64_t product = 0;
    if (__builtin_mul_overflow(number, unit.factor, &product)) return false;
    value = product;
    return true;
  }
  return false;
}

template <size_t kCount>
void format_with_unit(const Unit (&units)[kCount], uint64_t value, base::TextWriter& out) {
  for (const Unit& unit : units) {
    if (value % unit.factor != 0 || value == 0) continue;
    out.decimal(value / unit.factor).text(unit.name);
    return;
  }
  out.put('0');
}

bool parse_hexadecimal(std::string_view digits, uint64_t& value) {
  if (digits.empty() || digits.size() > 16) return false;
  uint64_t sum = 0;
  for (const char digit : digits) {
    const char c = to_lower(digit);
    if (!is_digit(c) && (c < 'a' || c > 'f')) return false;
    sum = sum * 16 + static_cast<uint64_t>(is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  value = sum;
  return true;
}

// The word in front of the first '|', which is taken off together with it.
std::string_view take_choice(std::string_view& choices) {
  const size_t bar = choices.find('|');
  const size_t length = bar == std::string_view::npos ? choices.size() : bar;
  const std::string_view word(choices.data(), length);
  choices.remove_prefix(bar == std::string_view::npos ? length : length + 1);
  return word;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

bool parse_boolean(std::string_view text, uint64_t& value) {
  for (const std::string_view word : {"1", "on", "yes", "true"}) {
    if (equal_ignoring_case(text, word)) {
      value = 1;
      return true;
    }
  }
  for (const std::string_view word : {"0", "off", "no", "false"}) {
    if (equal_ignoring_case(text, word)) {
      value = 0;
      return true;
    }
  }
  return false;
}

bool parse_integer(std::string_view text, uint64_t& value) {
  if (text.size() > 2 && text[0] == '0' && to_lower(text[1]) == 'x') {
    text.remove_prefix(2);
    return parse_hexadecimal(text, value);
  }
  uint64_t number = 0;
  if (!take_number(text, number) || !text.empty()) return false;
  value = number;
  return true;
}

bool parse_bytes(std::string_view text, uint64_t& value) {
  return parse_with_unit(text, kByteUnits, value);
}

bool parse_limit(std::string_view text, uint64_t& value) {
  if (equal_ignoring_case(text, kAutoWord)) {
    value = kAuto;
    return true;
  }
  uint64_t bytes = 0;
  if (!parse_bytes(text, bytes) || bytes == kAuto) return false;
  value = bytes;
  return true;
}

bool parse_duration(std::string_view text, uint64_t& nanoseconds) {
  return parse_with_unit(text, kDurationUnits, nanoseconds);
}

bool parse_choice(std::string_view text, std::string_view choices, uint64_t& value) {
  for (uint64_t index = 0; !choices.empty(); ++index) {
    if (equal_ignoring_case(take_choice(choices), text)) {
      value = index;
      return true;
    }
  }
  return false;
}

void format_value(OptionType type, std::string_view choices, uint64_t value,
                  base::TextWriter& out) {
  switch (type) {
    case OptionType::kBoolean:
      out.text(value != 0 ? "on" : "off");
      return;
    case OptionType::kLimit:
      if (value == kAuto) {
        out.text(kAutoWord);
        return;
      }
      [[fallthrough]];
    case OptionType::kBytes:
      return format_with_unit(kByteUnits, value, out);
    case OptionType::kDuration:
      return format_with_unit(kDurationUnits, value, out);
    case OptionType::kChoice:
      while (value-- > 0) take_choice(choices);
      out.text(take_choice(choices));
      return;
    case OptionType::kInteger:
      out.decimal(value);
      return;
    case OptionType::kText:
      return;
  }
}

std::string_view type_name(OptionType type) {
  switch (type) {
    case OptionType::kBoolean:
      return "boolean";
    case OptionType::kInteger:
      return "integer";
    case OptionType::kBytes:
      return "bytes";
    case OptionType::kLimit:
      return "bytes or auto";
    case OptionType::kDuration:
      return "duration";
    case OptionType::kChoice:
      return "choice";
    case OptionType::kText:
      return "text";
  }
  return "";
}

}  // namespace tide::api
