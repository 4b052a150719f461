#include "trace/symbol_table.h"

#include <fmt/format.h>

namespace tide::trace {
namespace {

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

void SymbolTable::add_module(LoadedModule module) {
  const uint64_t start = module.start;
  modules_.insert_or_assign(start, std::move(module));
}

void SymbolTable::add_module(uint64_t start, uint64_t bytes, std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return add_module({start, bytes, std::string(text), ""});
  add_module(
      {start, bytes, std::string(text.substr(space + 1)), std::string(text.substr(0, space))});
}

void SymbolTable::add(uint64_t address, std::vector<Frame> frames) {
  frames_.insert_or_assign(address, std::move(frames));
}

const std::vector<Frame>* SymbolTable::frames(uint64_t address) const {
  const auto found = frames_.find(address);
  return found == frames_.end() ? nullptr : &found->second;
}

const LoadedModule* SymbolTable::module(uint64_t address) const {
  auto after = modules_.upper_bound(address);
  if (after == modules_.begin()) return nullptr;
  const LoadedModule& module = std::prev(after)->second;
  return address - module.start < module.bytes ? &module : nullptr;
}

std::vector<std::string> SymbolTable::names(uint64_t address, bool with_lines) const {
  std::vector<std::string> names;
  if (const std::vector<Frame>* known = frames(address)) {
    for (const Frame& frame : *known) {
      if (frame.function.empty()) continue;
      names.push_back(frame.function);
      if (with_lines && !frame.file.empty()) {
        names.back() += fmt::format(" ({}:{})", base_name(frame.file), frame.line);
      }
    }
  }
  if (!names.empty()) return names;
  if (const LoadedModule* in = module(address)) {
    return {fmt::format("{}+{:#x}", base_name(in->path), address - in->start)};
  }
  return {fmt::format("{:#x}", address)};
}

}  // namespace tide::trace
