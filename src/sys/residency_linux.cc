#include "sys/residency.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "sys/errno_keeper.h"

namespace tide::sys {

bool resident_bytes(const void* address, size_t bytes, size_t* resident) {
  const ErrnoKeeper keeper;
  constexpr size_t kPages = 1024;  // on the stack of who calls, which may be small
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const uintptr_t end = begin + bytes;
  size_t found = 0;
  for (uintptr_t at = begin & ~(page - 1); at < end; at += kPages * page) {
    unsigned char pages[kPages];
    const size_t left = (end - at + page - 1) / page;
    const size_t count = left < kPages ? left : kPages;
    if (mincore(reinterpret_cast<void*>(at), count * page, pages) != 0) return false;
    for (size_t i = 0; i < count; ++i) found += pages[i] & 1u;
  }
  const size_t whole = found * page;
  *resident = whole < bytes ? whole : bytes;
  return true;
}

}  // namespace tide::sys
