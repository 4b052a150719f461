// The symbols of one ELF file, by address: for names of vtables, functions and variables.
//
// Addresses are as the file counts. Reads the dynamic symbols, which stripped files keep, and the
// full table where there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tide::inspect {

struct Symbol {
  std::string_view name;  // mangled; stays as long as its table
  uint64_t value = 0;
  uint64_t bytes = 0;
};

class SymbolTable {
 public:
  // Of a file that cannot be read or is no ELF file: empty.
  explicit SymbolTable(const std::string& path);
  ~SymbolTable();
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  // The symbol whose bytes have `address` in them.
  std::optional<Symbol> find(uint64_t address) const;

  // The address, as the file counts, of the byte at `offset` in the file.
  std::optional<uint64_t> address_of(uint64_t offset) const;

  // Where the file's build id is in memory, and what it is; empty: it has none.
  uint64_t build_id_address() const { return build_id_address_; }
  const std::string& build_id() const { return build_id_; }

 private:
  struct Entry {
    uint64_t value;
    uint64_t bytes;
    const char* name;
  };
  struct Load {
    uint64_t offset;
    uint64_t address;
    uint64_t file_bytes;
  };
  struct File;

  void read_segments();
  void read_symbols();

  std::unique_ptr<File> file_;
  std::vector<Entry> entries_;  // by value
  std::vector<Load> loads_;
  uint64_t build_id_address_ = 0;
  std::string build_id_;
};

}  // namespace tide::inspect
