// Numbers of bytes for people.
#pragma once

#include <cstdint>
#include <string>

namespace tide::host {

// "312.4 MiB"; exact below 1 KiB: "96 B".
std::string byte_text(uint64_t bytes);

// For narrow columns: "312.4M", "96".
std::string short_byte_text(uint64_t bytes);

}  // namespace tide::host
