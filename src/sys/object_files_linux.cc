#include "sys/object_files.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstring>

#include "base/text.h"
#include "sys/line_reader.h"
#include "sys/mapping_line.h"

namespace tide::sys {

namespace {

constexpr size_t kMostBuildId = 32;
// All of it lies on the stack of whoever happens to call.
constexpr size_t kMostHeaders = 24;
constexpr size_t kMostNotes = 512;
constexpr size_t kMostPath = 1024;

// The process's memory as a file: an address that another thread unmaps gives an error, no fault.
class OwnMemory {
 public:
  OwnMemory() {
    const ErrnoKeeper keeper;
    descriptor_ =
        static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_CLOEXEC));
  }
  ~OwnMemory() {
    const ErrnoKeeper keeper;
    if (descriptor_ >= 0) syscall(SYS_close, descriptor_);
  }
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

  bool read(uintptr_t address, void* to, size_t bytes) const {
    const ErrnoKeeper keeper;
    return descriptor_ >= 0 && pread(descriptor_, to, bytes, static_cast<off_t>(address)) ==
                                   static_cast<ssize_t>(bytes);
  }

 private:
  int descriptor_ = -1;
};

// Appends the build id of the object file at `address` in hex, if it has one.
void append_build_id(const OwnMemory& memory, uintptr_t address, base::TextWriter& out) {
  ElfW(Ehdr) head;
  ElfW(Phdr) parts[kMostHeaders];
  if (!memory.read(address, &head, sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
      head.e_phnum > kMostHeaders || head.e_phentsize != sizeof parts[0] ||
      !memory.read(address + head.e_phoff, parts, head.e_phnum * sizeof parts[0])) {
    return;
  }
  uintptr_t lowest = UINTPTR_MAX;
  for (size_t i = 0; i < head.e_phnum; ++i) {
    if (parts[i].p_type == PT_LOAD && parts[i].p_vaddr < lowest) lowest = parts[i].p_vaddr;
  }
  if (lowest == UINTPTR_MAX) return;
  for (size_t i = 0; i < head.e_phnum; ++i) {
    char notes[kMostNotes];
    const size_t bytes = parts[i].p_memsz < sizeof notes ? parts[i].p_memsz : sizeof notes;
    if (parts[i].p_type != PT_NOTE ||
        !memory.read(address + (parts[i].p_vaddr - (lowest & ~uintptr_t{4095})), notes, bytes)) {
      continue;
    }
    const auto padded = [](size_t length) { return (length + 3) & ~size_t{3}; };
    ElfW(Nhdr) note;
    for (size_t at = 0; at + sizeof note <= bytes;) {
      memcpy(&note, notes + at, sizeof note);
      const size_t name = at + sizeof note;
      if (note.n_namesz > bytes || note.n_descsz > bytes) return;
      const size_t content = name + padded(note.n_namesz);
      if (content + note.n_descsz > bytes) return;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
          memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz <= kMostBuildId) {
        for (size_t k = 0; k < note.n_descsz; ++k) {
          const auto byte = static_cast<unsigned char>(notes[content + k]);
          out.put("0123456789abcdef"[byte >> 4]).put("0123456789abcdef"[byte & 15]);
        }
        return;
      }
      at = content + padded(note.n_descsz);
    }
  }
}

// Mappings of one file, one after the other in the list.
struct Run {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool starts_the_file = false;
  bool is_executable = false;
  char path[kMostPath];
  size_t path_length = 0;

  std::string_view path_view() const { return {path, path_length}; }
};

}  // namespace

void visit_object_files(void (*visit)(void* argument, const ObjectFile& file), void* argument) {
  const OwnMemory memory;
  char lines[2048];
  LineReader reader("/proc/self/maps", lines);
  std::string_view line;
  MappingLine mapping;
  Run run;
  const auto finish = [&] {
    if (!run.starts_the_file || !run.is_executable) return;
    base::TextBuffer<2 * kMostBuildId> build_id;
    append_build_id(memory, run.begin, build_id);
    visit(argument, {run.begin, run.end - run.begin, run.path_view(), build_id.view()});
  };
  while (reader.next(line)) {
    if (!mapping.parse(line) || mapping.path.empty() || mapping.path == "[vsyscall]" ||
        (mapping.path[0] != '/' && mapping.path != "[vdso]")) {
      continue;
    }
    if (mapping.path == run.path_view() && mapping.offset != 0) {
      run.end = mapping.end;
      run.is_executable |= mapping.is_executable;
      continue;
    }
    finish();
    run.begin = mapping.begin;
    run.end = mapping.end;
    run.starts_the_file = mapping.offset == 0;
    run.is_executable = mapping.is_executable;
    run.path_length = mapping.path.size() < kMostPath ? mapping.path.size() : kMostPath;
    memcpy(run.path, mapping.path.data(), run.path_length);
  }
  finish();
}

}  // namespace tide::sys
