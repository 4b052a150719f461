// What the addresses in call stacks are: functions, files and lines, also of code that was inlined.
// Asked at the end of a recording, on the machine where it was made, so that the trace reads the
// same everywhere.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "trace/traced_process.h"

namespace tide::trace {

// One function at an address. Empty: not known; line 0 likewise.
struct SourcePlace {
  std::string function;  // demangled
  std::string file;
  uint32_t line = 0;
};

// Object files that have been looked into, for all processes of a trace.
class SymbolCache {
 public:
  SymbolCache();
  ~SymbolCache();
  SymbolCache(const SymbolCache&) = delete;
  SymbolCache& operator=(const SymbolCache&) = delete;

  // The functions at so many bytes behind the module's first one in memory, innermost first: those
  // that are inlined there, then the one that is called. Empty: nothing is known.
  const std::vector<SourcePlace>& places(const Module& module, uint64_t offset);

 private:
  struct File;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<File>> files_;
};

// The content of symbols.json, see docs/formats.md.
nlohmann::ordered_json symbols_of(const TracedProcess& process, SymbolCache& cache);

}  // namespace tide::trace
