#include "walk/root_notes.h"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "layout/heap_note.h"
#include "layout/heap_root.h"
#include "layout/profile_table.h"

namespace tide::walk {
namespace {

// More than any file has; what says more is none.
constexpr uint16_t kMostHeaders = 256;
constexpr uint64_t kMostNoteBytes = uint64_t{1} << 16;

uint64_t padded(uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; }

// What notes lead to: their type, and whether it is there.
struct Noted {
  uint32_t type;
  bool (*is_there)(const Target& target, uint64_t address);
};

// What the notes in `notes`, which lie at `address`, lead to.
std::optional<uint64_t> noted_in(const Target& target, const Noted& noted,
                                 std::span<const std::byte> notes, uint64_t address) {
  uint64_t at = 0;
  while (notes.size() - at >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr head;
    std::memcpy(&head, notes.data() + at, sizeof head);
    const uint64_t name = at + sizeof head;
    const uint64_t descriptor = name + padded(head.n_namesz);
    const uint64_t end = descriptor + padded(head.n_descsz);
    if (descriptor + head.n_descsz > notes.size()) break;
    const bool is_ours =
        head.n_type == noted.type && head.n_namesz == sizeof layout::kNoteOwner &&
        head.n_descsz >= layout::kNoteAt.bytes &&
        std::memcmp(notes.data() + name, layout::kNoteOwner, sizeof layout::kNoteOwner) == 0;
    if (is_ours) {
      uint64_t offset;
      uint32_t version;
      std::memcpy(&offset, notes.data() + descriptor + layout::kNoteAt.root, sizeof offset);
      std::memcpy(&version, notes.data() + descriptor + layout::kNoteAt.version, sizeof version);
      const uint64_t root = address + descriptor + offset;
      if (version == layout::kNoteVersion && noted.is_there(target, root)) return root;
    }
    if (end >= notes.size()) break;
    at = end;
  }
  return std::nullopt;
}

// Of the file whose first byte is mapped at `start`.
std::optional<uint64_t> noted_by_file(const Target& target, const Noted& noted, uint64_t start) {
  const auto magic = target.load<uint32_t>(start);
  if (!magic.has_value() || std::memcmp(&*magic, ELFMAG, SELFMAG) != 0) return std::nullopt;
  const auto head = target.load<Elf64_Ehdr>(start);
  const bool is_known = head.has_value() && head->e_ident[EI_CLASS] == ELFCLASS64 &&
                        head->e_ident[EI_DATA] == ELFDATA2LSB &&
                        head->e_phentsize == sizeof(Elf64_Phdr) && head->e_phnum <= kMostHeaders;
  if (!is_known || head->e_phnum == 0) return std::nullopt;
  std::vector<Elf64_Phdr> parts(head->e_phnum);
  if (!target.try_read(start + head->e_phoff, parts.data(), parts.size() * sizeof parts[0])) {
    return std::nullopt;
  }
  const auto first = std::find_if(parts.begin(), parts.end(), [](const Elf64_Phdr& part) {
    return part.p_type == PT_LOAD && part.p_offset == 0;
  });
  if (first == parts.end()) return std::nullopt;
  const uint64_t bias = start - first->p_vaddr;
  for (const Elf64_Phdr& part : parts) {
    if (part.p_type != PT_NOTE || part.p_memsz > kMostNoteBytes) continue;
    Buffer notes(part.p_memsz);
    if (!target.try_read(bias + part.p_vaddr, notes.data(), notes.size())) continue;
    const auto root = noted_in(target, noted, notes, bias + part.p_vaddr);
    if (root.has_value()) return root;
  }
  return std::nullopt;
}

bool is_profile_root(const Target& target, uint64_t address) {
  const auto root = target.load<layout::ProfileRoot>(address);
  return root.has_value() && root->magic == layout::kProfileFileMagic &&
         reinterpret_cast<uint64_t>(root->self) == address;
}

std::vector<NotedRoot> find_noted(const Target& target, const Noted& noted) {
  std::vector<NotedRoot> found;
  for (const Segment& segment : target.segments()) {
    // Where a core tells no files, any segment may begin with one.
    if (!segment.is_readable || !(segment.is_file() || segment.file.empty())) continue;
    const auto root = noted_by_file(target, noted, segment.start);
    if (root.has_value()) found.push_back({*root, segment.file});
  }
  std::sort(found.begin(), found.end(),
            [](const NotedRoot& a, const NotedRoot& b) { return a.address < b.address; });
  const auto end =
      std::unique(found.begin(), found.end(),
                  [](const NotedRoot& a, const NotedRoot& b) { return a.address == b.address; });
  found.erase(end, found.end());
  return found;
}

}  // namespace

bool is_root(const Target& target, uint64_t address) {
  const auto magic = target.load<uint64_t>(address + offsetof(layout::HeapRoot, magic));
  const auto self = target.load<uint64_t>(address + offsetof(layout::HeapRoot, self));
  return magic == layout::kHeapRootMagic && self == address;
}

std::vector<NotedRoot> find_noted_roots(const Target& target) {
  return find_noted(target, {layout::kNoteType, is_root});
}

uint64_t find_noted_profile(const Target& target) {
  for (const NotedRoot& root : find_noted(target, {layout::kProfileNoteType, is_profile_root})) {
    const auto found = target.load<layout::ProfileRoot>(root.address);
    if (found.has_value()) return reinterpret_cast<uint64_t>(found->table);
  }
  return 0;
}

}  // namespace tide::walk
