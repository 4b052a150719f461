// Counts and durations for people.
#pragma once

#include <cstdint>
#include <string>

namespace tide::host {

// "1,234,567".
std::string grouped(uint64_t number);

// "850 ns", "12.3 ms", "2 min 5 s".
std::string duration_text(uint64_t ns);

}  // namespace tide::host
