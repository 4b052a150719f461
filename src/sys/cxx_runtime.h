// What operator new needs of the C++ runtime library: the new-handler and a way to throw. The
// library itself must not depend on one, because a C program that preloads it would get it loaded.
//
// The symbols are weak references, bound when the program has a C++ runtime at its start. A runtime
// that is loaded later, and only for the module that needs it, is looked up when it is needed.
// Only for failed allocations: slow.
//
// A static program has those parts of the runtime that something else in it refers to; nearly any
// use of the standard library brings the two.
#pragma once

#include <cstddef>

namespace tide::sys {

using NewHandler = void (*)();

// Null: none is set, or no C++ runtime is loaded.
NewHandler current_new_handler();

// Ends the process with one line when no C++ runtime is loaded.
[[noreturn]] void throw_bad_alloc();

// The runtime's own `operator new(size, [alignment,] nothrow)`, which calls our operator new inside
// a try block: code without exceptions can't do that itself. Null: not found.
using NothrowNew = void* (*)(size_t bytes, const void* nothrow);
using AlignedNothrowNew = void* (*)(size_t bytes, size_t alignment, const void* nothrow);
NothrowNew runtime_nothrow_new();
AlignedNothrowNew runtime_aligned_nothrow_new();

}  // namespace tide::sys
