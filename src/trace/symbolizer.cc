#include "trace/symbolizer.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace tide::trace {
namespace {

std::string demangled(const char* name) {
  int status;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

// The function's name in full where the debug information has it: the linker's, else the source's.
std::string name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  for (const unsigned kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    if (dwarf_attr_integrate(die, kind, &attribute) == nullptr) continue;
    if (const char* const name = dwarf_formstring(&attribute)) return demangled(name);
  }
  const char* const name = dwarf_diename(die);
  return name != nullptr ? name : "";
}

// Where an inlined function is called.
void set_call_place(Dwarf_Die* unit, Dwarf_Die* inlined, SourcePlace& caller) {
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0, line = 0;
  if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) == 0) {
    caller.line = static_cast<uint32_t>(line);
  }
  Dwarf_Files* files;
  size_t count;
  if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) == 0 &&
      dwarf_getsrcfiles(unit, &files, &count) == 0) {
    if (const char* const name = dwarf_filesrc(files, file, nullptr, nullptr)) caller.file = name;
  }
}

constexpr Dwfl_Callbacks kCallbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = nullptr,
};

struct DwflEnd {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};

std::string hex(const unsigned char* bytes, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += fmt::format("{:02x}", bytes[i]);
  return result;
}

}  // namespace

struct SymbolCache::File {
  std::unique_ptr<Dwfl, DwflEnd> dwfl;
  Dwfl_Module* module = nullptr;
  Dwarf_Addr start = 0;
  std::unordered_map<uint64_t, std::vector<SourcePlace>> known;

  explicit File(const Module& wanted) : dwfl(dwfl_begin(&kCallbacks)) {
    if (dwfl == nullptr || wanted.path.empty() || wanted.path[0] != '/') return;
    dwfl_report_begin(dwfl.get());
    Dwfl_Module* const found =
        dwfl_report_offline(dwfl.get(), wanted.path.c_str(), wanted.path.c_str(), -1);
    dwfl_report_end(dwfl.get(), nullptr, nullptr);
    if (found == nullptr) return;
    // Another build of the file has other addresses.
    Dwarf_Addr bias;
    dwfl_module_getelf(found, &bias);
    const unsigned char* bits;
    GElf_Addr place;
    const int length = dwfl_module_build_id(found, &bits, &place);
    if (length > 0 && !wanted.build_id.empty() && hex(bits, length) != wanted.build_id) return;
    dwfl_module_info(found, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
    // The mapping begins at a page.
    constexpr Dwarf_Addr kPage = 4096;
    start &= ~(kPage - 1);
    module = found;
  }

  std::vector<SourcePlace> find(uint64_t offset) const;
  bool find_by_debug_information(Dwarf_Addr address, std::vector<SourcePlace>& result) const;
};

bool SymbolCache::File::find_by_debug_information(Dwarf_Addr address,
                                                  std::vector<SourcePlace>& result) const {
  Dwarf_Addr bias;
  Dwarf_Die* const unit = dwfl_module_addrdie(module, address, &bias);
  if (unit == nullptr) return false;
  SourcePlace place;
  if (Dwfl_Line* const line = dwfl_module_getsrc(module, address)) {
    int number = 0;
    if (const char* const file = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr)) {
      place.file = file;
      place.line = static_cast<uint32_t>(number);
    }
  }
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes(unit, address - bias, &scopes);
  const std::unique_ptr<Dwarf_Die, decltype(&std::free)> owner(scopes, std::free);
  for (int i = 0; i < count; ++i) {
    const int tag = dwarf_tag(&scopes[i]);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
    place.function = name_of(&scopes[i]);
    result.push_back(place);
    if (tag == DW_TAG_subprogram) return true;
    place = {};
    set_call_place(unit, &scopes[i], place);
  }
  // dwarf_getscopes gives the inlined function's own place in the source where it is abstract.
  if (!place.file.empty()) result.push_back(place);
  return !result.empty();
}

std::vector<SourcePlace> SymbolCache::File::find(uint64_t offset) const {
  std::vector<SourcePlace> result;
  if (module == nullptr) return result;
  const Dwarf_Addr address = start + offset;
  const bool is_known = find_by_debug_information(address, result);
  if (is_known && !result.back().function.empty()) return result;
  GElf_Off behind;
  GElf_Sym symbol;
  const char* const name =
      dwfl_module_addrinfo(module, address, &behind, &symbol, nullptr, nullptr, nullptr);
  if (name == nullptr) return result;
  if (!is_known) result.emplace_back();
  result.back().function = demangled(name);
  return result;
}

SymbolCache::SymbolCache() = default;
SymbolCache::~SymbolCache() = default;

const std::vector<SourcePlace>& SymbolCache::places(const Module& module, uint64_t offset) {
  std::unique_ptr<File>& file = files_[{module.path, module.build_id}];
  if (file == nullptr) file = std::make_unique<File>(module);
  const auto [at, is_new] = file->known.try_emplace(offset);
  if (is_new) at->second = file->find(offset);
  return at->second;
}

nlohmann::ordered_json symbols_of(const TracedProcess& process, SymbolCache& cache) {
  using Json = nlohmann::ordered_json;
  Json modules = Json::array(), strings = Json::array({""}), frames = Json::array();
  std::unordered_map<std::string, size_t> numbers = {{"", 0}};
  const auto number_of = [&](std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; }, '?');
    const auto [at, is_new] = numbers.try_emplace(text, strings.size());
    if (is_new) strings.push_back(text);
    return at->second;
  };
  const std::vector<Module>& known = process.modules();
  for (const Module& module : known) {
    modules.push_back({fmt::format("{:#x}", module.address), module.bytes, number_of(module.path),
                       module.build_id});
  }
  std::vector<uint64_t> addresses(process.addresses().begin(), process.addresses().end());
  std::sort(addresses.begin(), addresses.end());
  for (const uint64_t address : addresses) {
    // The last one that was loaded there; what a call returns to may be the next function already.
    const auto module = std::find_if(known.rbegin(), known.rend(), [&](const Module& m) {
      return address - 1 - m.address < m.bytes;
    });
    Json places = Json::array();
    if (module != known.rend()) {
      for (const SourcePlace& place : cache.places(*module, address - 1 - module->address)) {
        places.push_back({number_of(place.function), number_of(place.file), place.line});
      }
    }
    const auto index = module == known.rend() ? -1 : known.rend() - module - 1;
    frames.push_back({fmt::format("{:#x}", address), index, std::move(places)});
  }
  return {{"version", 1},
          {"modules", std::move(modules)},
          {"strings", std::move(strings)},
          {"frames", std::move(frames)}};
}

}  // namespace tide::trace
