// Numbers as pictures made of characters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/number_text.h"

namespace tide::cli {

using host::duration_text;
using host::grouped;

struct Bar {
  std::string name;
  std::string figures;
  uint64_t value;
};

// A line for each: its name, its figures, and a bar as long as its value.
std::string bar_chart(const std::vector<Bar>& bars);

// A character for each value, higher ones for more.
std::string sparkline(const std::vector<uint64_t>& values);

}  // namespace tide::cli
