// What an ELF file says about how it is started: class, byte order, machine, loader.
//
// Reads headers only, through libelf. Symbols and sections are not here: the verbs that need them
// bring their own readers. Any thread; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tide::host {

struct ElfSummary {
  bool is_64bit = false;
  bool is_little_endian = false;
  uint16_t machine = 0;        // EM_*
  bool is_executable = false;  // ET_EXEC
  bool is_shared = false;      // ET_DYN: a shared library or a position independent program
  bool has_entry = false;      // most shared libraries have no place to start at
  std::string interpreter;     // PT_INTERP; empty when the kernel starts the file without a loader

  bool same_machine(const ElfSummary& other) const {
    return is_64bit == other.is_64bit && is_little_endian == other.is_little_endian &&
           machine == other.machine;
  }

  // For people: "64-bit x86-64", "32-bit ARM".
  std::string machine_name() const;
};

// Nothing when the file is no ELF file. Throws Error when it starts like one and is damaged, or
// cannot be read.
std::optional<ElfSummary> read_elf_summary(const std::string& path);

}  // namespace tide::host
