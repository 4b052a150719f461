// Which of a program's pages are in memory.
#pragma once

#include <cstddef>

namespace tide::sys {

// How many of the bytes lie in pages that are in memory: of anonymous memory those that were
// touched. False: not all of it is mapped.
bool resident_bytes(const void* address, size_t bytes, size_t* resident);

}  // namespace tide::sys
