// What stands at an address of code: functions, files and lines, also of code that was inlined
// there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tide::host {

// One function at an address. Empty: not known; line 0 likewise.
struct SourcePlace {
  std::string function;  // demangled
  std::string file;
  uint32_t line = 0;
};

// Object files that have been looked into.
class SymbolCache {
 public:
  SymbolCache();
  ~SymbolCache();
  SymbolCache(const SymbolCache&) = delete;
  SymbolCache& operator=(const SymbolCache&) = delete;

  // The functions at so many bytes behind the object's first one in memory, innermost first: those
  // that are inlined there, then the one that is called. Empty: nothing is known, or the file has
  // another build id than this one, where that is not empty.
  const std::vector<SourcePlace>& places(const std::string& path, const std::string& build_id,
                                         uint64_t offset);

  // Of the file as it is now; empty: none.
  std::string build_id(const std::string& path);

 private:
  struct File;
  File& file(const std::string& path, const std::string& build_id);
  std::map<std::pair<std::string, std::string>, std::unique_ptr<File>> files_;
};

}  // namespace tide::host
