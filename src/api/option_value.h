// The text forms of option values: parsing and formatting. Pure functions without state, allocation
// or OS; the library reads its environment with them and the tide command shows it with them.
// Not here: which options there are (options.def), where values come from (option_set.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text.h"

namespace tide::api {

// Numbers that a row of options.def is written with.
inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;
inline constexpr uint64_t kTiB = uint64_t{1} << 40;
// The value of a kLimit that is "auto".
inline constexpr uint64_t kAuto = UINT64_MAX;
inline constexpr uint64_t kMillisecond = 1'000'000;
inline constexpr uint64_t kSecond = 1'000'000'000;

enum class OptionType : uint8_t {
  kBoolean,   // on off, yes no, true false, 1 0
  kInteger,   // decimal, or hexadecimal with 0x
  kBytes,     // a number and k, m, g, t or KiB, MiB, GiB, TiB: always powers of 1024
  kLimit,     // bytes, or the word auto
  kDuration,  // a number and ns, us, ms or s; without a unit ms
  kChoice,    // one of a few words
  kText,
};

// All take any case and return false for what they do not understand, `value` then being as it was.
bool parse_boolean(std::string_view text, uint64_t& value);
bool parse_integer(std::string_view text, uint64_t& value);
bool parse_bytes(std::string_view text, uint64_t& value);
bool parse_limit(std::string_view text, uint64_t& value);
bool parse_duration(std::string_view text, uint64_t& nanoseconds);
// `choices` as in "off|text|json"; the value is the word's index.
bool parse_choice(std::string_view text, std::string_view choices, uint64_t& value);

// Shortest exact form that the parser reads back: "4MiB", "250ms", "on".
void format_value(OptionType type, std::string_view choices, uint64_t value, base::TextWriter& out);

// The type's name for people: "bytes".
std::string_view type_name(OptionType type);

// ASCII only; the locale plays no part.
constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace tide::api
