#include "host/elf_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "host/error.h"
#include "host/file_descriptor.h"

namespace tide::host {
namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

[[noreturn]] void throw_damaged(const std::string& path) {
  throw Error(fmt::format("'{}' starts like an ELF file but is damaged ({})", path, elf_errmsg(-1)),
              kExitCannotRun);
}

// The text of PT_INTERP. It is bounded by the segment's size, not by a zero that may be missing.
std::string read_interpreter(const std::string& path, Elf* elf, const GElf_Phdr& segment) {
  constexpr size_t kLongestPath = 4096;
  if (segment.p_filesz == 0 || segment.p_filesz > kLongestPath) throw_damaged(path);
  Elf_Data* data = elf_getdata_rawchunk(elf, static_cast<int64_t>(segment.p_offset),
                                        segment.p_filesz, ELF_T_BYTE);
  if (data == nullptr || data->d_buf == nullptr) throw_damaged(path);
  const std::string_view bytes(static_cast<const char*>(data->d_buf), data->d_size);
  return std::string(bytes.substr(0, bytes.find('\0')));
}

// Names for what Tide's users meet; everything else is shown by number.
std::string_view short_machine_name(uint16_t machine) {
  static constexpr std::pair<uint16_t, std::string_view> kNames[] = {
      {EM_X86_64, "x86-64"}, {EM_386, "x86"},       {EM_AARCH64, "ARM"},        {EM_ARM, "ARM"},
      {EM_RISCV, "RISC-V"},  {EM_PPC64, "POWER"},   {EM_PPC, "PowerPC"},        {EM_S390, "S/390"},
      {EM_MIPS, "MIPS"},     {EM_SPARCV9, "SPARC"}, {EM_LOONGARCH, "LoongArch"}};
  for (const auto& [number, name] : kNames) {
    if (number == machine) return name;
  }
  return {};
}

}  // namespace

std::string ElfSummary::machine_name() const {
  const std::string_view name = short_machine_name(machine);
  const std::string bits = is_64bit ? "64-bit" : "32-bit";
  if (name.empty()) return fmt::format("{} machine {}", bits, machine);
  return fmt::format("{} {}", bits, name);
}

std::optional<ElfSummary> read_elf_summary(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) {
    throw Error(fmt::format("cannot read '{}': {}", path, std::strerror(errno)), kExitCannotRun);
  }
  // libelf also opens ar archives and unknown files: ask for the magic number first.
  char magic[SELFMAG];
  if (pread(file.get(), magic, sizeof magic, 0) != SELFMAG ||
      std::memcmp(magic, ELFMAG, SELFMAG) != 0) {
    return std::nullopt;
  }

  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, ElfEnd> elf(elf_begin(file.get(), ELF_C_READ, nullptr));
  GElf_Ehdr header;
  size_t segments = 0;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF ||
      gelf_getehdr(elf.get(), &header) == nullptr || elf_getphdrnum(elf.get(), &segments) != 0) {
    throw_damaged(path);
  }

  ElfSummary summary;
  summary.is_64bit = header.e_ident[EI_CLASS] == ELFCLASS64;
  summary.is_little_endian = header.e_ident[EI_DATA] == ELFDATA2LSB;
  summary.machine = header.e_machine;
  summary.is_executable = header.e_type == ET_EXEC;
  summary.is_shared = header.e_type == ET_DYN;
  summary.has_entry = header.e_entry != 0;
  for (size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr) throw_damaged(path);
    if (segment.p_type == PT_INTERP) {
      summary.interpreter = read_interpreter(path, elf.get(), segment);
    }
  }
  return summary;
}

}  // namespace tide::host
