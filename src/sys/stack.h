// Where a thread is: the return addresses on its stack, and what stands at an address of code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/text.h"

namespace tide::sys {

// Writes up to `most` return addresses of the calling thread to `frames`, the innermost first, and
// returns how many; calls inside of this library are left out. Unwinds by the tables that
// exceptions use (.eh_frame), with the compiler's own unwinder linked in: programs need no frame
// pointers.
// `outside`, a callers_stack(): nor is what is below, which in a static program tells our calls
// from the program's.
size_t capture_stack(uintptr_t* frames, size_t most, uintptr_t outside = 0);

// Whether it is late enough in the life of the program for capture_stack() and the like; in a
// program that libtide.a is linked into from its first constructor on. Before they find nothing.
bool may_unwind();

// The same up to the return address into the C or C++ library's start of the thread or program.
// What is beyond is always the same, and to unwind it would make pages of those libraries' tables
// resident that nobody else reads: 256 KiB.
size_t capture_stack_to_start(uintptr_t* frames, size_t most);

// The first `most` of these addresses, without those inside of this library in front. Returns how
// many.
size_t copy_without_ours(const uintptr_t* from, size_t count, uintptr_t* frames, size_t most);

// "function+0x12 (/path/of/object+0x3456)", as far as it is known without debug information.
void describe_code(uintptr_t address, base::TextWriter& out);

}  // namespace tide::sys
