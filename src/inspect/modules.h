// The program and the libraries of a target: which of them an address is in, and what its symbols
// call it. Works without the files too: then addresses have a module and an offset, but no name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/symbol_table.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

class Modules {
 public:
  // `target` must stay. No file is read before a symbol is asked for.
  explicit Modules(const walk::Target& target);
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  // Whether `address` is in one: its code, its constants or its variables.
  bool holds(uint64_t address) const { return piece_of(address) != nullptr; }
  bool is_code(uint64_t address) const;

  // The addresses around `address`, which no module holds, that none holds either.
  walk::Range gap_around(uint64_t address) const;

  // Holds every module's addresses; for a quick test: [lowest, highest).
  uint64_t lowest() const { return lowest_; }
  uint64_t highest() const { return highest_; }

  struct Name {
    std::string_view symbol;  // mangled
    uint64_t offset;          // of the address behind the symbol's own
  };
  // By the symbols of the module's file, unless that is another build than what is in memory.
  std::optional<Name> name_of(uint64_t address) const;

  // "libfoo.so+0x1a20"; empty: in no module.
  std::string place_of(uint64_t address) const;
  // "main+0x12" where there is a symbol, else the place; empty: in no module.
  std::string describe(uint64_t address) const;

 private:
  struct Module;
  struct Piece {
    uint64_t start;
    uint64_t end;
    Module* module;
    bool is_executable;
  };

  const Piece* piece_of(uint64_t address) const;
  const SymbolTable* symbols_of(Module& module) const;

  const walk::Target& target_;
  std::vector<std::unique_ptr<Module>> modules_;
  std::vector<Piece> pieces_;  // ascending
  uint64_t lowest_ = UINT64_MAX;
  uint64_t highest_ = 0;
};

}  // namespace tide::inspect
