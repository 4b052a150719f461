// Functions that another library would serve if this one did not define them.
#pragma once

#include "base/text.h"

namespace tide::sys {

// What comes after this library in the search order of the dynamic linker; null: nothing. May
// allocate. What goes wrong is remembered for dlerror(), see forget_symbol_errors().
void* next_symbol(const char* name);
// What the program itself finds first.
void* first_symbol(const char* name);

// The program must not be told of our failed searches.
void forget_symbol_errors();

struct CodeRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool contains(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - begin < end - begin;
  }
};

// The object file that `function` is in: its path appended to `path`, and where its code lies.
CodeRange object_of(const void* function, base::TextWriter& path);

}  // namespace tide::sys
