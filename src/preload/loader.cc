// Libraries that come and go while the program runs are object files that call stacks lead to.
//
// dlopen loses RTLD_DEEPBIND: a library that is loaded with that flag finds the C library's malloc
// before all others, and what it takes there would be missing from the trace.
#include "preload/entry.h"
#include "probe/module_notes.h"
#include "sys/unwind_cache.h"

namespace probe = tide::probe;
namespace sys = tide::sys;
using namespace tide::preload;

namespace {

using Dlopen = void*(const char*, int);
using Dlmopen = void*(Lmid_t, const char*, int);
using Dlclose = int(void*);

}  // namespace

// Tail calls where things are opened: the C library reads the return address to learn who is asking
// ($ORIGIN, namespaces).
extern "C" {

TIDE_EXPORT void* dlopen(const char* file, int mode) noexcept {
  static Dlopen* next = nullptr;
  probe::expect_modules();
  return next_function(next, "dlopen")(file, mode & ~RTLD_DEEPBIND);
}

TIDE_EXPORT void* dlmopen(Lmid_t space, const char* file, int mode) noexcept {
  static Dlmopen* next = nullptr;
  probe::expect_modules();
  return next_function(next, "dlmopen")(space, file, mode);
}

TIDE_EXPORT int dlclose(void* library) noexcept {
  static Dlclose* next = nullptr;
  // While they are still there.
  if (probe::has_module_work()) {
    remark(TIDE_FRAME, [](ThreadStream& s) { probe::record_modules(s); });
  }
  const int result = next_function(next, "dlclose")(library);
  sys::forget_known_stacks();
  return result;
}

}  // extern "C"
