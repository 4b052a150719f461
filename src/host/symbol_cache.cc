#include "host/symbol_cache.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "host/demangle.h"

namespace tide::host {
namespace {

// The function's name in full where the debug information has it: the linker's, else the source's.
std::string name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  for (const unsigned kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    if (dwarf_attr_integrate(die, kind, &attribute) == nullptr) continue;
    if (const char* const name = dwarf_formstring(&attribute)) return demangled_symbol(name);
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

// Of its description in .debug_info. 0: not known.
uint64_t unit_bytes(Dwarf_Die* unit) {
  const Dwarf_Off start = dwarf_dieoffset(unit) - dwarf_cuoffset(unit);
  Dwarf_Off next, abbreviations;
  size_t header;
  uint8_t address_bytes, offset_bytes;
  const bool is_known = dwarf_nextcu(dwarf_cu_getdwarf(unit->cu), start, &next, &header,
                                     &abbreviations, &address_bytes, &offset_bytes) == 0;
  return is_known ? next - start : 0;
}

// Of its compressed sections, which libdw unpacks all.
uint64_t unpacked_bytes(Elf* elf) {
  uint64_t bytes = 0;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
       section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    GElf_Chdr packed;
    if (gelf_getshdr(section, &header) == nullptr || (header.sh_flags & SHF_COMPRESSED) == 0 ||
        gelf_getchdr(section, &packed) == nullptr) {
      continue;
    }
    bytes += packed.ch_size;
  }
  return bytes;
}

// Of this process; 0: not known.
uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Says which file is at a path, and which state of it; empty: none. Begins with a '/', as no build
// id does.
std::string identity(const std::string& path) {
  struct stat status {};
  if (path.empty() || path[0] != '/' || stat(path.c_str(), &status) != 0 ||
      !S_ISREG(status.st_mode)) {
    return {};
  }
  return fmt::format("/{}:{} {} {}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

std::string hex(const unsigned char* bytes, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += fmt::format("{:02x}", bytes[i]);
  return result;
}

}  // namespace

struct SymbolCache::File {
  struct End {
    void operator()(Dwfl* session) const { dwfl_end(session); }
  };
  std::unique_ptr<Dwfl, End> dwfl;
  Dwfl_Module* module = nullptr;
  Dwarf_Addr start = 0;
  std::string id;
  uint64_t& unpacked_bytes_left;
  const uint64_t most_unit_bytes;
  bool has_looked_at_debug = false;
  bool has_room_for_debug = true;
  bool is_for_symbols = false;

  File(const std::string& path, const std::string& build_id, uint64_t& unpacked_left,
       uint64_t most_of_unit)
      : dwfl(dwfl_begin(&kCallbacks)),
        unpacked_bytes_left(unpacked_left),
        most_unit_bytes(most_of_unit) {
    // A pipe, which a container may have put there, would not come to an end.
    if (dwfl == nullptr || identity(path).empty()) return;
    dwfl_report_begin(dwfl.get());
    Dwfl_Module* const found = dwfl_report_offline(dwfl.get(), path.c_str(), path.c_str(), -1);
    dwfl_report_end(dwfl.get(), nullptr, nullptr);
    if (found == nullptr) return;
    // Another build of the file has other addresses.
    Dwarf_Addr bias;
    dwfl_module_getelf(found, &bias);
    const unsigned char* bits;
    GElf_Addr place;
    const int length = dwfl_module_build_id(found, &bits, &place);
    if (length > 0) id = hex(bits, length);
    if (length > 0 && !build_id.empty() && id != build_id) return;
    dwfl_module_info(found, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
    // The mapping begins at a page.
    constexpr Dwarf_Addr kPage = 4096;
    start &= ~(kPage - 1);
    module = found;
    void** user_data = nullptr;
    dwfl_module_info(module, &user_data, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    *user_data = this;
  }

  // Asked before libdw looks at the debug information, which it does whole.
  bool may_use_debug_information() {
    if (has_looked_at_debug) return has_room_for_debug;
    has_looked_at_debug = true;
    Dwarf_Addr bias;
    take_room(dwfl_module_getelf(module, &bias));
    is_for_symbols = true;
    dwfl_module_getsymtab(module);
    is_for_symbols = false;
    return has_room_for_debug;
  }
  void take_room(Elf* elf) {
    if (unpacked_bytes_left == kNoLimit) return;
    const uint64_t bytes = elf == nullptr ? 0 : unpacked_bytes(elf);
    has_room_for_debug = has_room_for_debug && bytes <= unpacked_bytes_left;
    if (has_room_for_debug) unpacked_bytes_left -= bytes;
  }
  static int find_debug_file(Dwfl_Module* module, void** user_data, const char* name,
                             Dwarf_Addr base, const char* path, const char* link, GElf_Word crc,
                             char** found);
  static const Dwfl_Callbacks kCallbacks;

  std::vector<SourcePlace> find(uint64_t offset);
  bool find_by_debug_information(Dwarf_Addr address, std::vector<SourcePlace>& result) const;
};

// One that is too large is still good for its symbol table. What libdw itself asks for here it then
// unpacks: where room is scarce a file with a symbol table of its own gets no other one.
int SymbolCache::File::find_debug_file(Dwfl_Module* module, void** user_data, const char* name,
                                       Dwarf_Addr base, const char* path, const char* link,
                                       GElf_Word crc, char** found) {
  auto* const file = static_cast<File*>(*user_data);
  if (file == nullptr || (!file->is_for_symbols && file->unpacked_bytes_left != kNoLimit))
    return -1;
  const int descriptor =
      dwfl_standard_find_debuginfo(module, user_data, name, base, path, link, crc, found);
  if (descriptor < 0) return -1;
  Elf* const elf = elf_begin(descriptor, ELF_C_READ_MMAP, nullptr);
  file->take_room(elf);
  elf_end(elf);
  return descriptor;
}

constexpr Dwfl_Callbacks SymbolCache::File::kCallbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = find_debug_file,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = nullptr,
};

bool SymbolCache::File::find_by_debug_information(Dwarf_Addr address,
                                                  std::vector<SourcePlace>& result) const {
  Dwarf_Addr bias;
  Dwarf_Die* const unit = dwfl_module_addrdie(module, address, &bias);
  if (unit == nullptr) return false;
  const bool has_lines = most_unit_bytes == kNoLimit || unit_bytes(unit) <= most_unit_bytes;
  SourcePlace place;
  Dwfl_Line* const line = has_lines ? dwfl_module_getsrc(module, address) : nullptr;
  if (line != nullptr) {
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
    if (has_lines) set_call_place(unit, &scopes[i], place);
  }
  // dwarf_getscopes gives the inlined function's own place in the source where it is abstract.
  if (!place.file.empty()) result.push_back(place);
  return !result.empty();
}

std::vector<SourcePlace> SymbolCache::File::find(uint64_t offset) {
  std::vector<SourcePlace> result;
  if (module == nullptr) return result;
  const Dwarf_Addr address = start + offset;
  const bool is_known = may_use_debug_information() && find_by_debug_information(address, result);
  if (is_known && !result.back().function.empty()) return result;
  GElf_Off behind;
  GElf_Sym symbol;
  const char* const name =
      dwfl_module_addrinfo(module, address, &behind, &symbol, nullptr, nullptr, nullptr);
  if (name == nullptr) return result;
  if (!is_known) result.emplace_back();
  // Without the version that the linker's table may have in it.
  const std::string_view whole = name;
  result.back().function = demangled_symbol(whole.substr(0, whole.find('@')));
  return result;
}

SymbolCache::SymbolCache() : SymbolCache(Bounds{}) {}
SymbolCache::SymbolCache(const Bounds& bounds)
    : bounds_(bounds),
      unpacked_bytes_left_(bounds.unpacked_bytes),
      most_resident_bytes_(bounds.resident_bytes) {}
SymbolCache::~SymbolCache() = default;

SymbolCache::File& SymbolCache::file(const std::string& path, const std::string& build_id) {
  const std::string which = identity(path);
  if (!build_id.empty()) {
    // As a rule it is the build that was looked into already.
    const auto now = files_.find({which, ""});
    if (now != files_.end() && now->second->id == build_id) return *now->second;
  }
  std::unique_ptr<File>& file = files_[{which, build_id}];
  if (file == nullptr) {
    file = std::make_unique<File>(path, build_id, unpacked_bytes_left_, bounds_.unit_bytes);
  }
  return *file;
}

// Pages of files that are mapped count, too. To be as large as it has been before does no harm.
void SymbolCache::close_files_if_large() {
  if (bounds_.resident_bytes == kNoLimit) return;
  const uint64_t resident = resident_bytes();
  if (resident <= most_resident_bytes_) return;
  most_resident_bytes_ = resident;
  files_.clear();
  unpacked_bytes_left_ = bounds_.unpacked_bytes;
  malloc_trim(0);
}

const std::vector<SourcePlace>& SymbolCache::places(const std::string& path,
                                                    const std::string& build_id, uint64_t offset) {
  static const std::vector<SourcePlace> kNone;
  const std::string key = build_id.empty() ? identity(path) : build_id;
  if (key.empty()) return kNone;
  const auto [at, is_new] = known_[key].try_emplace(offset);
  Known& known = at->second;
  // Another path may lead to the build that was not found before.
  if (is_new || (!known.is_of_file && !path.empty())) {
    File& in = file(path, build_id);
    known.places = in.find(offset);
    known.is_of_file = in.module != nullptr;
    has_news_ = true;
    close_files_if_large();
  }
  known.is_asked_for = true;
  return known.places;
}

std::string SymbolCache::build_id(const std::string& path) {
  const std::string which = identity(path);
  if (which.empty()) return {};
  const auto [at, is_new] = build_ids_.try_emplace(which);
  if (is_new) {
    at->second.text = file(path, "").id;
    has_news_ = true;
  }
  at->second.is_asked_for = true;
  return at->second.text;
}

}  // namespace tide::host
