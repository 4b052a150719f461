#include "walk/core_target.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "host/error.h"
#include "host/file_descriptor.h"
#include "walk/machine.h"

namespace tide::walk {
namespace {

template <class T>
bool take(std::span<const std::byte>& from, T& to) {
  if (from.size() < sizeof to) return false;
  std::memcpy(&to, from.data(), sizeof to);
  from = from.subspan(sizeof to);
  return true;
}

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// What the loader is told of the part at `offset` of a program or library that begins with `head`;
// nothing: it is neither, or has no such part.
std::optional<uint32_t> flags_of_part(std::span<const std::byte> head, uint64_t offset) {
  std::span<const std::byte> rest = head;
  Elf64_Ehdr header{};
  if (!begins_with(head, ELFMAG) || !take(rest, header) || header.e_phoff > head.size()) {
    return std::nullopt;
  }
  rest = head.subspan(header.e_phoff);
  Elf64_Phdr part{};
  for (uint32_t i = 0; i != header.e_phnum && take(rest, part); ++i) {
    const uint64_t before = part.p_vaddr % std::max<uint64_t>(part.p_align, 1);  // from a page on
    if (part.p_type == PT_LOAD && offset + before >= part.p_offset &&
        offset + before - part.p_offset < part.p_filesz + before) {
      return part.p_flags;
    }
  }
  return std::nullopt;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const host::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    throw host::Error(fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) throw host::Error(fmt::format("'{}' is no file", path));
  if (status.st_size == 0) throw host::Error(fmt::format("'{}' is empty", path));
  const auto size = static_cast<size_t>(status.st_size);
  void* const start = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (start == MAP_FAILED) {
    throw host::Error(fmt::format("'{}' cannot be mapped: {}", path, std::strerror(errno)));
  }
  bytes_ = {static_cast<const std::byte*>(start), size};
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

CoreTarget::CoreTarget(const std::string& path, const std::string& program,
                       const std::string& sysroot)
    : path_(path),
      given_program_(program),
      sysroot_(sysroot),
      core_(std::make_unique<MappedFile>(path)) {
  read_headers();
  add_named_ranges();
  add_absent_ranges();
  name_stacks();
}

CoreTarget::~CoreTarget() = default;

void CoreTarget::read_headers() {
  const std::span<const std::byte> all = core_->bytes();
  if (begins_with(all, "\x28\xb5\x2f\xfd")) {
    throw host::Error(fmt::format("'{}' is compressed; first: zstd -d {}", path_, path_));
  }
  if (begins_with(all, "\x04\x22\x4d\x18")) {
    throw host::Error(fmt::format("'{}' is compressed; first: lz4 -d {}", path_, path_));
  }
  if (begins_with(all, "\x1f\x8b")) {
    throw host::Error(fmt::format("'{}' is compressed; first: gunzip {}", path_, path_));
  }
  Elf64_Ehdr header{};
  std::span<const std::byte> rest = all;
  if (!begins_with(all, ELFMAG) || !take(rest, header)) {
    throw host::Error(fmt::format("'{}' is no core file", path_));
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    throw host::Error(
        fmt::format("'{}' is of a {}-bit {}-endian machine; only cores of 64-bit little-endian "
                    "ones can be read",
                    path_, header.e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64,
                    header.e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little"));
  }
  if (header.e_type != ET_CORE) {
    throw host::Error(fmt::format("'{}' is {}, not a core file", path_,
                                  header.e_type == ET_EXEC || header.e_type == ET_DYN
                                      ? "a program or library"
                                      : "an ELF file of another kind"));
  }
  if (!is_known_machine(header.e_machine)) {
    throw host::Error(
        fmt::format("'{}' is of another machine (ELF number {}) than this command "
                    "knows: x86-64 and AArch64",
                    path_, header.e_machine));
  }
  uint64_t count = header.e_phnum;
  if (count == PN_XNUM) {  // too many for the field: the first section says how many
    Elf64_Shdr section{};
    if (header.e_shoff <= all.size()) rest = all.subspan(header.e_shoff);
    if (header.e_shoff > all.size() || !take(rest, section)) {
      throw host::Error(fmt::format("'{}' is cut off before its number of segments", path_));
    }
    count = section.sh_info;
  }
  const bool fits = header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phoff <= all.size() &&
                    count <= (all.size() - header.e_phoff) / sizeof(Elf64_Phdr);
  if (!fits || count == 0) {
    throw host::Error(
        fmt::format("'{}' is cut off or damaged: its list of segments is not there", path_));
  }
  std::vector<Elf64_Phdr> headers(count);
  std::memcpy(headers.data(), all.data() + header.e_phoff, count * sizeof headers[0]);
  std::stable_sort(headers.begin(), headers.end(),
                   [](const Elf64_Phdr& a, const Elf64_Phdr& b) { return a.p_vaddr < b.p_vaddr; });
  for (const Elf64_Phdr& program : headers) {
    const uint64_t offset = std::min<uint64_t>(program.p_offset, all.size());
    const uint64_t there = std::min<uint64_t>(program.p_filesz, all.size() - offset);
    if (program.p_type == PT_NOTE) read_notes(all.subspan(offset, there));
    if (program.p_type != PT_LOAD || program.p_memsz == 0) continue;
    const uint64_t end = program.p_vaddr + program.p_memsz;
    // Segments that lie over each other are nonsense; the first one stands.
    if (end < program.p_vaddr) continue;
    if (!segments_.empty() && program.p_vaddr < segments_.back().end) continue;
    cut_bytes_ += program.p_filesz - there;
    Segment segment;
    segment.start = program.p_vaddr;
    segment.end = end;
    segment.is_readable = (program.p_flags & PF_R) != 0;
    segment.is_writable = (program.p_flags & PF_W) != 0;
    segment.is_executable = (program.p_flags & PF_X) != 0;
    segment.present = std::min(there, program.p_memsz);
    contents_.push_back({all.subspan(offset, segment.present), {}, false});
    segments_.push_back(std::move(segment));
  }
  if (segments_.empty()) throw host::Error(fmt::format("'{}' has no memory in it", path_));
  if (!given_program_.empty()) program_ = given_program_;
}

void CoreTarget::read_notes(std::span<const std::byte> notes) {
  Elf64_Nhdr head{};
  while (take(notes, head)) {
    const uint64_t name = (uint64_t{head.n_namesz} + 3) & ~uint64_t{3};
    const uint64_t body = (uint64_t{head.n_descsz} + 3) & ~uint64_t{3};
    if (name > notes.size() || head.n_descsz > notes.size() - name) return;
    const std::span<const std::byte> bytes = notes.subspan(name, head.n_descsz);
    const bool is_core = begins_with(notes, "CORE");
    if (is_core && head.n_type == NT_PRSTATUS) read_status(bytes);
    if (is_core && head.n_type == NT_FILE) read_names(bytes);
    if (is_core && head.n_type == NT_PRPSINFO) read_program(bytes);
    notes = notes.subspan(std::min<uint64_t>(name + body, notes.size()));
  }
}

// The general registers stand behind a head that is the same on all 64-bit machines.
void CoreTarget::read_status(std::span<const std::byte> note) {
  constexpr size_t kPid = 32;
  constexpr size_t kRegisters = 112;
  constexpr size_t kTail = 8;  // whether floating point registers are valid
  if (note.size() < kRegisters + kTail) return;
  Thread thread;
  int32_t id = 0;
  std::memcpy(&id, note.data() + kPid, sizeof id);
  thread.id = id;
  thread.registers.resize((note.size() - kRegisters - kTail) / sizeof(uint64_t));
  std::memcpy(thread.registers.data(), note.data() + kRegisters,
              thread.registers.size() * sizeof(uint64_t));
  name_registers(thread);
  threads_.push_back(std::move(thread));
}

void CoreTarget::read_names(std::span<const std::byte> note) {
  uint64_t count = 0;
  uint64_t page = 0;
  if (!take(note, count) || !take(note, page)) return;
  if (count > note.size() / (3 * sizeof(uint64_t))) return;
  std::span<const std::byte> names = note.subspan(count * 3 * sizeof(uint64_t));
  for (uint64_t i = 0; i < count; ++i) {
    NamedRange range{};
    if (!take(note, range.start) || !take(note, range.end) || !take(note, range.offset)) return;
    range.offset *= page;
    const auto* const text = reinterpret_cast<const char*>(names.data());
    const size_t length = strnlen(text, names.size());
    range.file.assign(text, length);
    names = names.subspan(std::min(length + 1, names.size()));
    names_.push_back(std::move(range));
  }
}

// The command's name: of the files that are mapped the one with it is the program.
void CoreTarget::read_program(std::span<const std::byte> note) {
  if (note.size() < sizeof(elf_prpsinfo) || !program_.empty()) return;
  elf_prpsinfo info{};
  std::memcpy(&info, note.data(), sizeof info);
  program_.assign(info.pr_fname, strnlen(info.pr_fname, sizeof info.pr_fname));
}

void CoreTarget::add_named_ranges() {
  std::sort(names_.begin(), names_.end(),
            [](const NamedRange& a, const NamedRange& b) { return a.start < b.start; });
  for (Segment& segment : segments_) {
    auto after = std::upper_bound(names_.begin(), names_.end(), segment.start,
                                  [](uint64_t a, const NamedRange& r) { return a < r.start; });
    if (after == names_.begin() || segment.start >= (--after)->end) continue;
    segment.file = after->file;
    segment.offset = after->offset + (segment.start - after->start);
  }
  if (!given_program_.empty() || program_.empty()) return;
  // 15 letters of the name are all that the core has.
  const std::string command = program_;
  program_.clear();
  for (const NamedRange& range : names_) {
    if (range.file.substr(range.file.rfind('/') + 1).starts_with(command)) {
      program_ = range.file;
      return;
    }
  }
}

// gcore has no segments for parts of files that nobody has written to: the program's code,
// constants and the names of its classes. What they are is said by the headers of the file, of
// which it has the first page.
void CoreTarget::add_absent_ranges() {
  std::vector<Segment> segments;
  std::vector<Contents> contents;
  size_t next = 0;
  const auto take_segments_up_to = [&](uint64_t address) {
    for (; next != segments_.size() && segments_[next].start < address; ++next) {
      segments.push_back(std::move(segments_[next]));
      contents.push_back(contents_[next]);
    }
  };
  std::span<const std::byte> head;  // of the file that is being gone through
  const std::string* file = nullptr;
  for (const NamedRange& range : names_) {
    take_segments_up_to(range.end);
    const bool is_there = !segments.empty() && segments.back().end > range.start;
    if (range.offset == 0) {
      file = &range.file;
      head = is_there && segments.back().start == range.start ? contents.back().bytes
                                                              : std::span<const std::byte>();
    }
    if (is_there || range.start >= range.end || file == nullptr || *file != range.file) continue;
    const std::optional<uint32_t> flags = flags_of_part(head, range.offset);
    if (!flags.has_value()) continue;
    Segment segment;
    segment.start = range.start;
    segment.end = range.end;
    segment.is_readable = true;
    segment.is_executable = (*flags & PF_X) != 0;
    segment.file = range.file;
    segment.offset = range.offset;
    segments.push_back(std::move(segment));
    contents.emplace_back();
  }
  take_segments_up_to(UINT64_MAX);
  segments_ = std::move(segments);
  contents_ = std::move(contents);
}

void CoreTarget::name_stacks() {
  for (const Thread& thread : threads_) {
    const Segment* const segment = segment_of(thread.stack_pointer);
    if (segment == nullptr || !segment->file.empty()) continue;
    segments_[static_cast<size_t>(segment - segments_.data())].file = "[stack]";
  }
}

const MappedFile* CoreTarget::file_of(const std::string& path) const {
  const auto [entry, is_new] = files_.try_emplace(path);
  if (!is_new) return entry->second.get();
  try {
    const bool is_given = path == given_program_;
    entry->second = std::make_unique<MappedFile>(is_given ? path : sysroot_ + path);
  } catch (const host::Error&) {
    return nullptr;
  }
  if (is_same_file(path, entry->second->bytes()) != Same::kYes) entry->second = nullptr;
  return entry->second.get();
}

// Of most files the core has the first page, and with it headers and the build id. Of a file of
// which it has nothing that can be compared nothing is known.
CoreTarget::Same CoreTarget::is_same_file(const std::string& file,
                                          std::span<const std::byte> now) const {
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (segment.file != file || segment.is_writable || segment.present == 0) continue;
    const size_t bytes = std::min<size_t>(segment.present, 4096);
    if (segment.offset > now.size() || now.size() - segment.offset < bytes) return Same::kNo;
    const bool is_same =
        std::memcmp(now.data() + segment.offset, contents_[i].bytes.data(), bytes) == 0;
    return is_same ? Same::kYes : Same::kNo;
  }
  return Same::kUnknown;
}

std::string CoreTarget::path_of(const Segment& segment) const {
  const std::string path = sysroot_ + segment.file;
  try {
    const MappedFile file(path);
    return is_same_file(segment.file, file.bytes()) == Same::kNo ? std::string() : path;
  } catch (const host::Error&) {
    return {};
  }
}

std::span<const std::byte> CoreTarget::file_bytes(size_t index) const {
  const std::lock_guard lock(files_mutex_);
  const Contents& contents = contents_[index];
  if (contents.has_asked) return contents.file;
  contents.has_asked = true;
  const Segment& segment = segments_[index];
  // What was written to is in the core, or lost.
  if (!segment.is_file() || segment.is_writable) return {};
  const MappedFile* file = file_of(segment.file);
  if (file == nullptr && !given_program_.empty() && segment.file == program_) {
    file = file_of(given_program_);
  }
  if (file == nullptr || segment.offset >= file->bytes().size()) return {};
  const size_t bytes = std::min<uint64_t>(file->bytes().size() - segment.offset, segment.size());
  contents.file = file->bytes().subspan(segment.offset, bytes);
  return contents.file;
}

std::span<const std::byte> CoreTarget::view(uint64_t address, size_t bytes,
                                            Buffer& /*buffer*/) const {
  size_t index = last_.load(std::memory_order_relaxed);
  if (index >= segments_.size() || !segments_[index].contains(address)) {
    const Segment* const segment = segment_of(address);
    if (segment == nullptr) return {};
    index = static_cast<size_t>(segment - segments_.data());
    last_.store(index, std::memory_order_relaxed);
  }
  const uint64_t offset = address - segments_[index].start;
  std::span<const std::byte> there = contents_[index].bytes;
  if (offset >= there.size()) there = file_bytes(index);
  if (offset >= there.size()) return {};
  return there.subspan(offset, std::min<size_t>(bytes, there.size() - offset));
}

}  // namespace tide::walk
