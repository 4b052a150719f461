#include "walk/machine.h"

#include <elf.h>

#include <array>

namespace tide::walk {
namespace {

using Names = std::array<std::string_view, 27>;
constexpr Names kX86 = {"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9",
                        "r8",  "rax", "rcx", "rdx", "rsi", "rdi", "",    "rip", "",
                        "",    "rsp", "",    "",    "",    "",    "",    "",    ""};
constexpr size_t kX86Instruction = 16;
constexpr size_t kX86Stack = 19;
constexpr size_t kX86Thread = 21;

constexpr std::array<std::string_view, 34> kArm = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10", "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  ""};
constexpr size_t kArmStack = 31;
constexpr size_t kArmInstruction = 32;

}  // namespace

bool is_known_machine(uint16_t elf_machine) {
  return elf_machine == EM_X86_64 || elf_machine == EM_AARCH64;
}

void name_registers(Thread& thread) {
  if (thread.registers.size() == kX86.size()) {
    thread.stack_pointer = thread.registers[kX86Stack];
    thread.thread_pointer = thread.registers[kX86Thread];
    thread.instruction = thread.registers[kX86Instruction];
  } else if (thread.registers.size() == kArm.size()) {
    thread.stack_pointer = thread.registers[kArmStack];
    thread.instruction = thread.registers[kArmInstruction];
  }
}

std::string_view register_name(const Thread& thread, size_t index) {
  if (index >= thread.registers.size()) return {};
  if (thread.registers.size() == kX86.size()) return kX86[index];
  if (thread.registers.size() == kArm.size()) return kArm[index];
  return {};
}

}  // namespace tide::walk
