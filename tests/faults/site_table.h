// The places in the code under test that called the system, with names from its debug information
// (addr2line).
#pragma once

#include <cstdint>

namespace tide::faults {

struct SiteCount {
  uint32_t places;
  uint32_t failed;  // those of which a call was made to fail
};

// Counts them; `print`: and shows one line for each.
SiteCount show_sites(bool print);

}  // namespace tide::faults
