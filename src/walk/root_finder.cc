#include "walk/root_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "host/error.h"

namespace tide::walk {
namespace {

constexpr std::string_view kSymbol = "tide_heap_root";
constexpr std::string_view kLibrary = "libtide.so";
constexpr std::string_view kDeleted = " (deleted)";

bool is_library(const host::Mapping& mapping) {
  const std::string_view name = mapping.name;
  return mapping.is_file() && name.substr(name.rfind('/') + 1).starts_with(kLibrary);
}

// The mapping that the file's addresses are counted from.
const host::Mapping* first_of(const std::vector<host::Mapping>& mappings, const host::Mapping& file,
                              uint64_t offset) {
  const auto found = std::find_if(mappings.begin(), mappings.end(), [&](const host::Mapping& m) {
    return m.inode == file.inode && m.device == file.device && m.offset == offset;
  });
  return found == mappings.end() ? nullptr : &*found;
}

}  // namespace

std::optional<host::ElfSymbol> RootFinder::symbol_of(int pid, const host::Mapping& mapping,
                                                     bool is_program) {
  const auto [entry, is_new] = known_.try_emplace({mapping.device, mapping.inode});
  if (!is_new) return entry->second;
  if (is_program) {
    entry->second = host::find_data_symbol(proc_.path(pid, "exe"), kSymbol);
    return entry->second;
  }
  // As the process sees it, which may be in another root; a file that is gone only by its mapping.
  std::string name = mapping.name;
  if (name.ends_with(kDeleted)) name.resize(name.size() - kDeleted.size());
  const std::string map = fmt::format("map_files/{:x}-{:x}", mapping.start, mapping.end);
  for (const std::string& path : {proc_.path(pid, map), proc_.path(pid, "root") + name, name}) {
    entry->second = host::find_data_symbol(path, kSymbol);
    if (entry->second.has_value()) break;
  }
  return entry->second;
}

std::optional<uint64_t> RootFinder::find(int pid, const std::vector<host::Mapping>& mappings) {
  const std::string program = proc_.link_target(pid, "exe");
  auto file = std::find_if(mappings.begin(), mappings.end(), is_library);
  const bool is_program = file == mappings.end();
  if (is_program) {
    file = std::find_if(mappings.begin(), mappings.end(),
                        [&](const host::Mapping& m) { return m.is_file() && m.name == program; });
  }
  if (file == mappings.end()) return std::nullopt;
  const auto symbol = symbol_of(pid, *file, is_program);
  if (!symbol.has_value() && is_program) return std::nullopt;
  if (!symbol.has_value()) {
    throw host::Error(
        fmt::format("process {}: '{}' is gone or no library of this version; where it "
                    "was replaced, sudo may help",
                    pid, file->name));
  }
  const host::Mapping* const first = first_of(mappings, *file, symbol->load_offset);
  if (first == nullptr) return std::nullopt;
  return first->start - symbol->load_address + symbol->value;
}

}  // namespace tide::walk
