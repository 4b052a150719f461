// Numbers as pictures made of characters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tide::cli {

// "1,234,567".
std::string grouped(uint64_t number);

// "850 ns", "12.3 ms", "2 min 5 s".
std::string duration_text(uint64_t ns);

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
