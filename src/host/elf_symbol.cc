#include "host/elf_symbol.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>

#include <memory>

#include "host/file_descriptor.h"

namespace tide::host {
namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

bool find_in(Elf* elf, uint32_t kind, std::string_view name, ElfSymbol& result) {
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != kind ||
        header.sh_entsize == 0) {
      continue;
    }
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const auto count = static_cast<int>(header.sh_size / header.sh_entsize);
    for (int i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, i, &symbol) == nullptr) break;
      if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT) continue;
      const char* const found = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (found == nullptr || name != found) continue;
      result.value = symbol.st_value;
      result.bytes = symbol.st_size;
      return true;
    }
  }
  return false;
}

bool find_first_segment(Elf* elf, ElfSymbol& result) {
  size_t segments = 0;
  if (elf_getphdrnum(elf, &segments) != 0) return false;
  for (size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(i), &segment) == nullptr) return false;
    if (segment.p_type != PT_LOAD) continue;
    // Mappings begin at a page. The usual size will do: larger alignments keep the difference.
    constexpr uint64_t kPage = 4096;
    result.load_offset = segment.p_offset & ~(kPage - 1);
    result.load_address = segment.p_vaddr & ~(kPage - 1);
    return true;
  }
  return false;
}

}  // namespace

std::optional<ElfSymbol> find_data_symbol(const std::string& path, std::string_view name) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return std::nullopt;
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, ElfEnd> elf(elf_begin(file.get(), ELF_C_READ, nullptr));
  ElfSymbol symbol{};
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF ||
      !find_first_segment(elf.get(), symbol)) {
    return std::nullopt;
  }
  if (!find_in(elf.get(), SHT_DYNSYM, name, symbol) &&
      !find_in(elf.get(), SHT_SYMTAB, name, symbol)) {
    return std::nullopt;
  }
  return symbol;
}

}  // namespace tide::host
