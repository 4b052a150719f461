#include "walk/build_id.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

namespace tide::walk {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kMostHeaders = 64;
constexpr size_t kMostNotes = 4096;
constexpr size_t kMostIdBytes = 64;

std::string hex_of(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// Of the text of a PT_NOTE segment.
std::string build_id_in(std::string_view notes) {
  const auto padded = [](size_t bytes) { return (bytes + 3) & ~size_t{3}; };
  Elf64_Nhdr head{};
  for (size_t at = 0; at + sizeof head <= notes.size();) {
    std::memcpy(&head, notes.data() + at, sizeof head);
    const size_t name = at + sizeof head;
    const size_t content = name + padded(head.n_namesz);
    if (head.n_namesz > notes.size() || content > notes.size() ||
        head.n_descsz > notes.size() - content) {
      return {};
    }
    if (head.n_type == NT_GNU_BUILD_ID && notes.substr(name, 4) == std::string_view("GNU\0", 4) &&
        head.n_descsz <= kMostIdBytes) {
      return hex_of(notes.substr(content, head.n_descsz));
    }
    at = content + padded(head.n_descsz);
  }
  return {};
}

}  // namespace

std::string build_id_at(const Target& target, uint64_t start) {
  const auto head = target.load<Elf64_Ehdr>(start);
  if (!head || std::memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
      head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_phentsize != sizeof(Elf64_Phdr) ||
      head->e_phnum > kMostHeaders) {
    return {};
  }
  std::vector<Elf64_Phdr> parts(head->e_phnum);
  if (!target.try_read(start + head->e_phoff, parts.data(), parts.size() * sizeof parts[0])) {
    return {};
  }
  uint64_t lowest = UINT64_MAX;
  for (const Elf64_Phdr& part : parts) {
    if (part.p_type == PT_LOAD) lowest = std::min(lowest, part.p_vaddr & ~(kPage - 1));
  }
  for (const Elf64_Phdr& part : parts) {
    if (part.p_type != PT_NOTE || part.p_vaddr < lowest) continue;
    std::string notes(std::min<uint64_t>(part.p_memsz, kMostNotes), '\0');
    if (!target.try_read(start + (part.p_vaddr - lowest), notes.data(), notes.size())) continue;
    if (std::string id = build_id_in(notes); !id.empty()) return id;
  }
  return {};
}

}  // namespace tide::walk
