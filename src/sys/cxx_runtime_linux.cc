#include "sys/cxx_runtime.h"

#include <dlfcn.h>

#include "sys/report.h"

// The names are those of the Itanium C++ ABI; libstdc++ and libc++ have the same.
extern "C" {
[[noreturn]] void tide_weak_throw_bad_alloc() __asm__("_ZSt17__throw_bad_allocv")
    __attribute__((weak));
tide::sys::NewHandler tide_weak_get_new_handler() __asm__("_ZSt15get_new_handlerv")
    __attribute__((weak));
// Weak for static programs, most of which have no dynamic linker in them.
void* tide_weak_dlopen(const char*, int) __asm__("dlopen") __attribute__((weak));
void* tide_weak_dlsym(void*, const char*) __asm__("dlsym") __attribute__((weak));
}

namespace tide::sys {

namespace {

using ThrowBadAlloc = void (*)();
using GetNewHandler = NewHandler (*)();

constexpr bool kLong = sizeof(size_t) == 8;
constexpr const char* kNothrowNew = kLong ? "_ZnwmRKSt9nothrow_t" : "_ZnwjRKSt9nothrow_t";
constexpr const char* kAlignedNothrowNew =
    kLong ? "_ZnwmSt11align_val_tRKSt9nothrow_t" : "_ZnwjSt11align_val_tRKSt9nothrow_t";

// `name` in whatever C++ runtime is loaded, also by dlopen with RTLD_LOCAL. Null: none.
void* find_in_loaded_runtime(const char* name) {
  if (&tide_weak_dlopen == nullptr || &tide_weak_dlsym == nullptr) return nullptr;
  for (const char* library : {"libstdc++.so.6", "libc++abi.so.1", "libc++.so.1"}) {
    // The handle is kept: what it names must not go away while we call into it.
    void* const handle = tide_weak_dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) continue;
    if (void* const found = tide_weak_dlsym(handle, name)) return found;
  }
  return nullptr;
}

template <class Function>
Function as_function(void* symbol) {
  return reinterpret_cast<Function>(symbol);
}

}  // namespace

NewHandler current_new_handler() {
  GetNewHandler get = &tide_weak_get_new_handler;
  if (get == nullptr) {
    get = as_function<GetNewHandler>(find_in_loaded_runtime("_ZSt15get_new_handlerv"));
  }
  return get == nullptr ? nullptr : get();
}

void throw_bad_alloc() {
  ThrowBadAlloc raise = &tide_weak_throw_bad_alloc;
  if (raise == nullptr) {
    raise = as_function<ThrowBadAlloc>(find_in_loaded_runtime("_ZSt17__throw_bad_allocv"));
  }
  if (raise != nullptr) raise();
  fatal(
      "operator new found no memory, and no C++ runtime is loaded that could throw "
      "std::bad_alloc");
}

NothrowNew runtime_nothrow_new() {
  return as_function<NothrowNew>(find_in_loaded_runtime(kNothrowNew));
}

AlignedNothrowNew runtime_aligned_nothrow_new() {
  return as_function<AlignedNothrowNew>(find_in_loaded_runtime(kAlignedNothrowNew));
}

}  // namespace tide::sys
