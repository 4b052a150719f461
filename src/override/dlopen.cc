// dlopen without RTLD_DEEPBIND. A library that is loaded with that flag finds the C library's
// malloc and free before ours, and frees there what the program took from us: php loads its
// extensions so, and crashes on every other preloaded allocator. Only in libtide.so.
#include "sys/dlopen.h"

#include <dlfcn.h>

#include "base/compiler.h"

// A tail call: the C library reads the return address to learn who is asking ($ORIGIN, namespaces).
extern "C" TIDE_EXPORT void* dlopen(const char* file, int mode) {
  return tide::sys::next_dlopen()(file, mode & ~RTLD_DEEPBIND);
}
