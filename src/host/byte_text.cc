#include "host/byte_text.h"

#include <fmt/format.h>

#include <string_view>

namespace tide::host {
namespace {

struct Scaled {
  double value;
  char unit;  // 'B' for none
};

Scaled scale(uint64_t bytes) {
  constexpr std::string_view kUnits = "BKMGTP";
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  // What would be shown as 1024.0 is one of the next unit.
  for (; value >= (unit == 0 ? 1024.0 : 1023.95) && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return {value, kUnits[unit]};
}

}  // namespace

std::string byte_text(uint64_t bytes) {
  const Scaled scaled = scale(bytes);
  if (scaled.unit == 'B') return fmt::format("{} B", bytes);
  return fmt::format("{:.1f} {}iB", scaled.value, scaled.unit);
}

std::string short_byte_text(uint64_t bytes) {
  const Scaled scaled = scale(bytes);
  if (scaled.unit == 'B') return fmt::format("{}", bytes);
  return fmt::format("{:.1f}{}", scaled.value, scaled.unit);
}

}  // namespace tide::host
