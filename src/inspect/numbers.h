// What bytes look like that are no text and no pointers.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "inspect/text.h"

namespace tide::inspect {

// All of them 0; true of none at all.
bool is_zeros(Bytes bytes);

// Small whole numbers of 4 or 8 bytes, or floating point ones of usual size.
bool is_numbers(Bytes bytes);

// As mixed as random bytes would be: compressed, encrypted or random. Says no of fewer than 256.
bool is_random(Bytes bytes);

// "gzip", "PNG", ... by how such files begin; empty: none that is known.
std::string_view packed_format(Bytes bytes);

}  // namespace tide::inspect
