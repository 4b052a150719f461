// What of a thread's registers means what, by the machine. Numbers of registers are those of the
// kernel's user_regs_struct.
#pragma once

#include <cstdint>
#include <string_view>

#include "walk/target.h"

namespace tide::walk {

// Of an ELF header: EM_X86_64, EM_AARCH64.
bool is_known_machine(uint16_t elf_machine);

// Sets stack pointer, thread pointer and instruction from `thread.registers`, whose number tells
// the machine.
void name_registers(Thread& thread);

// "rsp", "x0"; empty where there is no such register.
std::string_view register_name(const Thread& thread, size_t index);

}  // namespace tide::walk
