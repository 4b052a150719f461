// Where a symbol of an ELF file is. Reads the dynamic symbols first, which stripped files keep,
// then the full table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tide::host {

struct ElfSymbol {
  uint64_t value;  // its address as the file counts
  uint64_t bytes;
  // The first segment that is loaded: a mapping of the file from this offset on begins at
  // `load_address`, plus what the loader adds to all addresses.
  uint64_t load_offset;
  uint64_t load_address;
};

// Nothing when the file cannot be read, is no ELF file or has no data symbol of that name.
std::optional<ElfSymbol> find_data_symbol(const std::string& path, std::string_view name);

}  // namespace tide::host
