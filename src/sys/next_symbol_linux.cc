#include "sys/next_symbol.h"

#include <dlfcn.h>
#include <link.h>

namespace tide::sys {

void* next_symbol(const char* name) {
  // Not a tail call: the C library reads the return address to learn who is asking.
  void* const found = dlsym(RTLD_NEXT, name);
  __asm__ volatile("" ::: "memory");
  return found;
}

void* first_symbol(const char* name) {
  void* const found = dlsym(RTLD_DEFAULT, name);
  __asm__ volatile("" ::: "memory");
  return found;
}

// dlerror() would have the message translated, under the lock of setlocale(), which may be what
// allocates. A search that succeeds forgets it, too.
void forget_symbol_errors() { dlsym(RTLD_DEFAULT, "malloc"); }

CodeRange object_of(const void* function, base::TextWriter& path) {
  Dl_info info;
  if (function == nullptr || dladdr(function, &info) == 0 || info.dli_fname == nullptr) return {};
  path.text(info.dli_fname);
  const auto base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  const auto* const head = reinterpret_cast<const ElfW(Ehdr)*>(base);
  const auto* const parts = reinterpret_cast<const ElfW(Phdr)*>(base + head->e_phoff);
  uintptr_t lowest = UINTPTR_MAX;
  uintptr_t highest = 0;
  for (size_t i = 0; i < head->e_phnum; ++i) {
    if (parts[i].p_type != PT_LOAD) continue;
    if (parts[i].p_vaddr < lowest) lowest = parts[i].p_vaddr;
    const uintptr_t end = parts[i].p_vaddr + parts[i].p_memsz;
    if (end > highest) highest = end;
  }
  return {base, base + (highest - (lowest & ~uintptr_t{4095}))};
}

}  // namespace tide::sys
