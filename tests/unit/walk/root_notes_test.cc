// Roots by ELF notes, in memory that is made up: whole, hostile, and twice.
#include "walk/root_notes.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "layout/heap_note.h"
#include "layout/heap_root.h"
#include "walk/tide_root.h"

namespace tide::tests {
namespace {

class FakeTarget : public walk::Target {
 public:
  std::string name() const override { return "made-up memory"; }
  bool is_core() const override { return true; }
  const std::vector<walk::Segment>& segments() const override { return segments_; }
  const std::vector<walk::Thread>& threads() const override { return threads_; }
  std::string program() const override { return {}; }
  std::span<const std::byte> view(uint64_t address, size_t bytes, walk::Buffer&) const override {
    const walk::Segment* const segment = segment_of(address);
    if (segment == nullptr) return {};
    const std::vector<std::byte>& all = contents_.at(segment->start);
    const uint64_t offset = address - segment->start;
    return std::span(all).subspan(offset, std::min<uint64_t>(bytes, all.size() - offset));
  }

  // Ascending addresses only.
  std::byte* add(uint64_t start, size_t bytes, const std::string& file, bool is_writable) {
    walk::Segment segment;
    segment.start = start;
    segment.end = start + bytes;
    segment.present = bytes;
    segment.is_readable = true;
    segment.is_writable = is_writable;
    segment.file = file;
    segments_.push_back(segment);
    contents_[start].resize(bytes);
    return contents_[start].data();
  }

 private:
  std::vector<walk::Segment> segments_;
  std::vector<walk::Thread> threads_;
  std::map<uint64_t, std::vector<std::byte>> contents_;
};

constexpr uint64_t kFile = 0x7f0000000000;
constexpr uint64_t kNotes = 0x200;
constexpr uint64_t kData = 0x10000;
constexpr uint64_t kRoot = 0x100;  // in the data

template <class T>
void put(std::byte* at, const T& value) {
  memcpy(at, &value, sizeof value);
}

void put_root(std::byte* data, uint64_t address) {
  layout::HeapRoot root{};
  root.magic = layout::kHeapRootMagic;
  root.self = reinterpret_cast<const layout::HeapRoot*>(address);
  put(data, root);
}

struct Note {
  Elf64_Nhdr head{5, 12, layout::kNoteType};
  char owner[8] = "Tide";
  int64_t offset = 0;
  uint32_t version = layout::kNoteVersion;
};

// A library at `start`: its headers and notes on one page, its data elsewhere.
struct Library {
  std::byte* page;
  std::byte* data;
};
Library add_library(FakeTarget& target, uint64_t start, const std::string& file,
                    bool is_noted = true) {
  const Library library{target.add(start, 4096, file, false),
                        target.add(start + kData, 4096, file, true)};
  Elf64_Ehdr head{};
  memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  head.e_ident[EI_DATA] = ELFDATA2LSB;
  head.e_phoff = sizeof head;
  head.e_phentsize = sizeof(Elf64_Phdr);
  head.e_phnum = is_noted ? 2 : 1;
  put(library.page, head);
  Elf64_Phdr part{};
  part.p_type = PT_LOAD;
  put(library.page + sizeof head, part);
  part.p_type = PT_NOTE;
  part.p_vaddr = part.p_offset = kNotes;
  part.p_memsz = 24 + 32;  // another one, then ours
  put(library.page + sizeof head + sizeof part, part);
  const Elf64_Nhdr other{4, 6, 3};
  put(library.page + kNotes, other);
  memcpy(library.page + kNotes + sizeof other, "GNU", 4);
  Note note;
  note.offset = static_cast<int64_t>(kData + kRoot - (kNotes + 24 + 20));
  memcpy(library.page + kNotes + 24, &note, 20);
  put(library.page + kNotes + 24 + 20, note.offset);
  put(library.page + kNotes + 24 + 28, note.version);
  put_root(library.data + kRoot, start + kData + kRoot);
  return library;
}

std::byte* our_note(const Library& library) { return library.page + kNotes + 24; }

TEST(RootNotes, LeadToTheRootOfEveryCopy) {
  FakeTarget target;
  add_library(target, kFile, "/lib/libtide.so.0");
  add_library(target, kFile + 0x100000, "/opt/libtide.so.0");
  const auto found = walk::find_noted_roots(target);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].address, kFile + kData + kRoot);
  EXPECT_EQ(found[0].file, "/lib/libtide.so.0");
  EXPECT_EQ(found[1].address, kFile + 0x100000 + kData + kRoot);
}

TEST(RootNotes, AreFoundWhereACoreTellsNoFiles) {
  FakeTarget target;
  add_library(target, kFile, "");
  EXPECT_EQ(walk::find_roots(target), std::vector<uint64_t>{kFile + kData + kRoot});
}

TEST(RootNotes, ASearchFindsWhatHasNoNoteAndNothingTwice) {
  FakeTarget target;
  add_library(target, kFile, "/lib/libtide.so.0");
  add_library(target, kFile + 0x100000, "/bin/program", false);
  const std::vector<uint64_t> both = {kFile + kData + kRoot, kFile + 0x100000 + kData + kRoot};
  EXPECT_EQ(walk::find_noted_roots(target).size(), 1u);
  EXPECT_EQ(walk::find_roots(target), both);
}

TEST(RootNotes, NotesThatLieLeadNowhere) {
  const auto expect_none = [](auto damage) {
    FakeTarget target;
    damage(add_library(target, kFile, "/lib/libtide.so.0"));
    EXPECT_TRUE(walk::find_noted_roots(target).empty());
    // The search still has it.
    EXPECT_EQ(walk::find_roots(target).size(), 1u);
  };
  const size_t header = sizeof(Elf64_Ehdr);
  const size_t part = sizeof(Elf64_Phdr);
  for (const int64_t offset : {int64_t{0}, int64_t{8}, INT64_MAX, INT64_MIN, int64_t{-1}}) {
    expect_none([&](const Library& l) { put(our_note(l) + 20, offset); });
  }
  for (const uint32_t bytes : {0u, 11u, 13u, 0x7fffffffu, UINT32_MAX}) {
    expect_none([&](const Library& l) { put(our_note(l) + 4, bytes); });
    if (bytes != 0) expect_none([&](const Library& l) { put(our_note(l), bytes); });
    expect_none([&](const Library& l) { put(l.page + kNotes + 4, uint32_t{UINT32_MAX} - bytes); });
  }
  expect_none([](const Library& l) { put(our_note(l) + 8, uint32_t{2}); });
  expect_none([](const Library& l) { put(our_note(l) + 28, uint32_t{2}); });
  expect_none([](const Library& l) { put(our_note(l) + 12, 'X'); });
  for (const uint64_t place : {uint64_t{0}, uint64_t{1} << 40, UINT64_MAX - 3}) {
    expect_none([&](const Library& l) {
      put(l.page + header + part + offsetof(Elf64_Phdr, p_vaddr), place);
    });
    expect_none([&](const Library& l) { put(l.page + offsetof(Elf64_Ehdr, e_phoff), place); });
  }
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{30}, uint64_t{1} << 40, UINT64_MAX}) {
    expect_none([&](const Library& l) {
      put(l.page + header + part + offsetof(Elf64_Phdr, p_memsz), bytes);
    });
  }
  for (const uint16_t count : {uint16_t{0}, uint16_t{1}, uint16_t{UINT16_MAX}}) {
    expect_none([&](const Library& l) { put(l.page + offsetof(Elf64_Ehdr, e_phnum), count); });
  }
  expect_none([](const Library& l) { put(l.page + EI_CLASS, char{ELFCLASS32}); });
  expect_none([](const Library& l) { put(l.page + EI_DATA, char{ELFDATA2MSB}); });
  expect_none([](const Library& l) { put(l.page, uint32_t{0}); });
}

TEST(RootNotes, ARootThatIsACopyIsNone) {
  FakeTarget target;
  const Library library = add_library(target, kFile, "/lib/libtide.so.0");
  put_root(library.data + kRoot, kFile);
  EXPECT_TRUE(walk::find_noted_roots(target).empty());
  EXPECT_TRUE(walk::find_roots(target).empty());
}

}  // namespace
}  // namespace tide::tests
