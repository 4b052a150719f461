// The build id of an object file, from the memory that it is mapped to: it says which build that
// is, whether or not the file can be found.
#pragma once

#include <cstdint>
#include <string>

#include "walk/target.h"

namespace tide::walk {

// In hex, of the file whose first byte lies at `start`; empty: it has none, or it is not there.
std::string build_id_at(const Target& target, uint64_t start);

}  // namespace tide::walk
