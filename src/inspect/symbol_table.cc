#include "inspect/symbol_table.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "host/file_descriptor.h"

namespace tide::inspect {
namespace {

// More than any program has; a damaged header must not make us allocate without end.
constexpr size_t kMostSymbols = 8'000'000;

}  // namespace

struct SymbolTable::File {
  explicit File(const std::string& path)
      : descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (descriptor.get() < 0) return;
    elf_version(EV_CURRENT);
    elf = elf_begin(descriptor.get(), ELF_C_READ_MMAP, nullptr);
    if (elf != nullptr && elf_kind(elf) != ELF_K_ELF) {
      elf_end(elf);
      elf = nullptr;
    }
  }
  ~File() {
    if (elf != nullptr) elf_end(elf);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  host::FileDescriptor descriptor;
  Elf* elf = nullptr;
};

SymbolTable::SymbolTable(const std::string& path) : file_(std::make_unique<File>(path)) {
  if (file_->elf == nullptr) return;
  read_segments();
  read_symbols();
}

SymbolTable::~SymbolTable() = default;

void SymbolTable::read_segments() {
  size_t count = 0;
  if (elf_getphdrnum(file_->elf, &count) != 0) return;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(file_->elf, static_cast<int>(i), &header) == nullptr) return;
    if (header.p_type == PT_LOAD) {
      loads_.push_back({header.p_offset, header.p_vaddr, header.p_filesz});
    }
    if (header.p_type != PT_NOTE || !build_id_.empty()) continue;
    Elf_Data* const notes = elf_getdata_rawchunk(file_->elf, static_cast<int64_t>(header.p_offset),
                                                 header.p_filesz, ELF_T_NHDR);
    if (notes == nullptr) continue;
    size_t offset = 0;
    size_t name = 0;
    size_t text = 0;
    GElf_Nhdr note;
    while ((offset = gelf_getnote(notes, offset, &note, &name, &text)) != 0) {
      const auto* const bytes = static_cast<const char*>(notes->d_buf);
      if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
          std::memcmp(bytes + name, "GNU", 4) != 0) {
        continue;
      }
      build_id_.assign(bytes + text, note.n_descsz);
      build_id_address_ = header.p_vaddr + text;
    }
  }
}

void SymbolTable::read_symbols() {
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(file_->elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0 ||
        (header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB)) {
      continue;
    }
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const size_t count = std::min(data->d_size / header.sh_entsize, kMostSymbols);
    for (size_t i = 0; i < count && entries_.size() < kMostSymbols; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      const int type = GELF_ST_TYPE(symbol.st_info);
      if (symbol.st_shndx == SHN_UNDEF || symbol.st_size == 0 ||
          (type != STT_OBJECT && type != STT_FUNC && type != STT_GNU_IFUNC)) {
        continue;
      }
      const char* const name = elf_strptr(file_->elf, header.sh_link, symbol.st_name);
      if (name == nullptr || *name == '\0') continue;
      entries_.push_back({symbol.st_value, symbol.st_size, name});
    }
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.value != b.value ? a.value < b.value : std::strcmp(a.name, b.name) < 0;
  });
}

std::optional<Symbol> SymbolTable::find(uint64_t address) const {
  auto after = std::upper_bound(entries_.begin(), entries_.end(), address,
                                [](uint64_t a, const Entry& e) { return a < e.value; });
  if (after == entries_.begin()) return std::nullopt;
  const Entry& found = *(after - 1);
  if (address - found.value >= found.bytes) return std::nullopt;
  return Symbol{found.name, found.value, found.bytes};
}

std::optional<uint64_t> SymbolTable::address_of(uint64_t offset) const {
  constexpr uint64_t kPage = 4096;  // mappings begin at a page: before the segment does
  for (const Load& load : loads_) {
    const uint64_t start = load.offset & ~(kPage - 1);
    if (offset >= start && offset < load.offset + load.file_bytes) {
      return load.address - load.offset + offset;
    }
  }
  return std::nullopt;
}

}  // namespace tide::inspect
