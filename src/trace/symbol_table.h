// What the addresses in call stacks are: functions with file and line where that is known, else the
// module and the offset in it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tide::trace {

struct Frame {
  std::string function;  // empty: not known
  std::string file;      // likewise
  uint32_t line = 0;
};

struct LoadedModule {
  uint64_t start = 0;
  uint64_t bytes = 0;
  std::string path;
  std::string build_id;
};

class SymbolTable {
 public:
  void add_module(LoadedModule module);
  // The text of Note::kModule.
  void add_module(uint64_t start, uint64_t bytes, std::string_view text);
  // Functions at an address, inlined ones first.
  void add(uint64_t address, std::vector<Frame> frames);
  // symbols.json. Throws host::Error.
  void load(const std::string& path);

  // Null: not known.
  const std::vector<Frame>* frames(uint64_t address) const;
  // Null: in none.
  const LoadedModule* module(uint64_t address) const;
  const std::map<uint64_t, LoadedModule>& modules() const { return modules_; }
  // For people, one for the function and each that is inlined there, the innermost first: "f
  // (a.c:12)", "libx.so+0x1234".
  std::vector<std::string> names(uint64_t address, bool with_lines) const;

 private:
  std::map<uint64_t, LoadedModule> modules_;
  std::unordered_map<uint64_t, std::vector<Frame>> frames_;
};

}  // namespace tide::trace
