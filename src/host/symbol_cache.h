// What stands at an address of code: functions, files and lines, also of code that was inlined
// there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tide::host {

// One function at an address. Empty: not known; line 0 likewise.
struct SourcePlace {
  std::string function;  // demangled
  std::string file;
  uint32_t line = 0;
};

// Object files that have been looked into. What is known of a build can be handed to a
// later process that asks for the same, as text.
class SymbolCache {
 public:
  static constexpr uint64_t kNoLimit = UINT64_MAX;
  // For who has little memory.
  struct Bounds {
    // Debug information that is compressed is unpacked, of a C library some 10 MiB. Where the open
    // files together would need more than so much, functions come from the symbol table: without
    // lines, and without those that were inlined.
    uint64_t unpacked_bytes = kNoLimit;
    // What libdw keeps of a unit's lines grows with the unit, to megabytes where a program was
    // optimised as a whole. In one that is larger there are functions, inlined ones, too, but no
    // lines.
    uint64_t unit_bytes = kNoLimit;
    // Files are closed when the process has become larger than that, what is known of them stays.
    uint64_t resident_bytes = kNoLimit;
  };
  SymbolCache();
  explicit SymbolCache(const Bounds& bounds);
  ~SymbolCache();
  SymbolCache(const SymbolCache&) = delete;
  SymbolCache& operator=(const SymbolCache&) = delete;

  // The functions at so many bytes behind the object's first one in memory, innermost first: those
  // that are inlined there, then the one that is called. Empty: nothing is known, or the file has
  // another build id than this one, where that is not empty. `path` is
  // where the file can be opened now; a path may lead to another file at each call.
  const std::vector<SourcePlace>& places(const std::string& path, const std::string& build_id,
                                         uint64_t offset);

  // Of the file as it is now; empty: none.
  std::string build_id(const std::string& path);

  // Takes what the text of an earlier cache says; what is damaged says nothing.
  void learn(const std::string& text);
  // What was asked for so far; empty when all of it was learnt.
  std::string news() const;

 private:
  struct File;
  struct Known {
    std::vector<SourcePlace> places;
    bool is_of_file = true;  // else it could not be read
    bool is_asked_for = false;
  };
  // By build id, or where there is none by what says which file it is.
  using Code = std::map<std::string, std::unordered_map<uint64_t, Known>>;
  struct BuildId {
    std::string text;
    bool is_asked_for = false;
  };

  File& file(const std::string& path, const std::string& build_id);
  void close_files_if_large();
  Bounds bounds_;
  uint64_t unpacked_bytes_left_;
  uint64_t most_resident_bytes_;
  // By what says which file it is, and the build id that it should have; empty: any.
  std::map<std::pair<std::string, std::string>, std::unique_ptr<File>> files_;
  Code known_;
  std::map<std::string, BuildId> build_ids_;  // by what says which file it is
  bool has_news_ = false;
};

}  // namespace tide::host
